"""Anchor boxes of a feature pyramid.

One scale (8 strides) and three ratios per cell, centred on (x * stride, y * stride) with neither a
half-pixel offset nor rounding, in the order y, x, ratio.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpn_core import Features

RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""
SCALE = 8
"""Side of the square anchor, in strides."""


def _cells(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """(H * W, 2) x, y of the cells of one map in pixels."""
    y = torch.arange(height, device=device, dtype=torch.float32) * stride
    x = torch.arange(width, device=device, dtype=torch.float32) * stride
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def level_anchors(height: int, width: int, stride: int, device: torch.device) -> Tensor:
    """(H * W * 3, 4) anchors of one level in pixels."""
    ratios = torch.tensor(RATIOS, device=device, dtype=torch.float32)
    sides = SCALE * stride * torch.stack([ratios.rsqrt(), ratios.sqrt()], dim=1)
    centred = torch.cat([-sides / 2, sides / 2], dim=1)
    cells = _cells(height, width, stride, device)
    return (cells.repeat(1, 2)[:, None] + centred[None]).flatten(0, 1)


def anchors_of(pyramid: Features) -> list[Tensor]:
    """Anchors of every level, (A_l, 4) each."""
    return [
        level_anchors(level.shape[-2], level.shape[-1], stride, level.device)
        for level, stride in zip(pyramid.maps, pyramid.strides, strict=True)
    ]


def belongs_to_image(pyramid: Features, sizes: Tensor, pad_to: int = 32) -> list[Tensor]:
    """(B, A_l) bool per level: whether an anchor's cell lies on the image rather than on padding.

    Sizes are (B, 2) h, w in pixels. Cells up to the next multiple of `pad_to` pixels belong to an
    image, which is padded so even alone; those beyond were brought along by a larger image of the
    same batch, next to which it would else be detected differently.
    """
    limit = (sizes + pad_to - 1) // pad_to * pad_to
    limit = limit.to(pyramid.maps[0].device).flip(-1)
    inside = []
    for level, stride in zip(pyramid.maps, pyramid.strides, strict=True):
        cells = _cells(level.shape[-2], level.shape[-1], stride, level.device)
        on_image = (cells[None] < limit[:, None]).all(dim=-1)
        inside.append(on_image.repeat_interleave(len(RATIOS), dim=1))
    return inside
