"""Predictions of a region proposal network, laid along its anchors.

B batch, A anchors of all levels, finest level first and in the order y, x, ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core import Features
from stpn_vod.anchors import anchors_of, belongs_to_image


@dataclass(frozen=True)
class DensePredictions:
    """What the network says at every anchor.

    logits (B, A) of "there is an object"; deltas (B, A, 4); anchors (A, 4); on_image (B, A) bool,
    False on the padding of a batch; level_lengths: anchors per level.
    """

    logits: Tensor
    deltas: Tensor
    anchors: Tensor
    on_image: Tensor
    level_lengths: tuple[int, ...]


def dense_predictions(
    pyramid: Features,
    logits: Sequence[Tensor],
    deltas: Sequence[Tensor],
    sizes: Tensor,
    pad_to: int = 32,
) -> DensePredictions:
    """Maps (B, 3, H_l, W_l) and (B, 12, H_l, W_l) of every level, laid along the anchors."""
    anchors = anchors_of(pyramid)
    return DensePredictions(
        _flatten(logits, 1).squeeze(-1),
        _flatten(deltas, 4),
        torch.cat(anchors),
        torch.cat(belongs_to_image(pyramid, sizes, pad_to), dim=1),
        tuple(level.shape[0] for level in anchors),
    )


def _flatten(levels: Sequence[Tensor], width: int) -> Tensor:
    """Maps (B, 3 * width, H_l, W_l) of all levels -> (B, A, width)."""
    return torch.cat(
        [level.permute(0, 2, 3, 1).reshape(level.shape[0], -1, width) for level in levels], dim=1
    )
