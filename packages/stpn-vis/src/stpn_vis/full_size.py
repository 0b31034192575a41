"""From mask logits at a quarter of the network's size to masks of the file's size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]


def full_size_logits(logits: Tensor, padded: Size, size: Size, original: Size) -> Tensor:
    """Logits (k, h, w) to (k, *original).

    padded: height and width the network saw; size: those of the frame in it; original: those of the
    file. Enlarged to the padded size, cropped, resized (MinVIS, `inference_video`); an object is
    where they are above 0.
    """
    if not len(logits):
        return logits.new_zeros((0, *original))
    seen = F.interpolate(logits[None], padded, mode="bilinear", align_corners=False)
    seen = seen[:, :, : size[0], : size[1]]
    return F.interpolate(seen, original, mode="bilinear", align_corners=False)[0]
