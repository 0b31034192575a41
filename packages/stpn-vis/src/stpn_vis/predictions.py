"""What a segmenter says of a batch of frames.

B batch, Q queries, C classes, D query width, h x w a quarter of the padded image.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.utils import _pytree as pytree


@dataclass(frozen=True, eq=False)
class FramePredictions:
    """Raw predictions of each query in each frame, in float32.

    logits (B, Q, C + 1): classes, the last one "no object".
    masks (B, Q, h, w): logits, an object where they are above 0.
    embeddings (B, Q, D): by which queries of neighbouring frames are matched.
    """

    logits: Tensor
    masks: Tensor
    embeddings: Tensor


@dataclass(frozen=True, eq=False)
class Target:
    """The objects of one frame.

    labels (n,) int64 from 0. masks (n, H, W) bool or uint8 of 0 and 1, at padded network size; a
    mask may be empty (the object is not in this frame).
    """

    labels: Tensor
    masks: Tensor


# torch.export sees through registered containers only
pytree.register_dataclass(FramePredictions)
