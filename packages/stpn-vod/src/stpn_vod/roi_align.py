"""Features of regions, read from the pyramid level that suits their size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import roi_align

from stpn_core import Features
from stpn_vod.boxes import areas, at_least_float32

REGION_SIZE = 7
"""Cells along each side of a pooled region."""
_FINEST_SIDE = 14
"""A region of this many strides of the finest level belongs to that level (56 px at stride 4)."""


def pyramid_levels(boxes: Tensor, finest_stride: int, count: int) -> Tensor:
    """(R, 4) -> (R,) int64 level in [0, count): one level up for each doubling of the side."""
    relative = areas(at_least_float32(boxes)).sqrt() / (_FINEST_SIDE * finest_stride)
    return (relative + 1e-6).log2().floor().clamp(0, count - 1).long()


def pool_regions(pyramid: Features, boxes: Sequence[Tensor]) -> Tensor:
    """Boxes (R_b, 4) of each of the B images -> (R, C, 7, 7) float32, images one after another.

    RoIAlign with half-pixel alignment and as many samples per cell as the region has pixels. The
    last level of the pyramid serves the RPN alone and is not read.
    """
    if len(boxes) != pyramid.maps[0].shape[0]:
        raise ValueError(
            f"boxes of {len(boxes)} images for features of {pyramid.maps[0].shape[0]} images"
        )
    maps, strides = pyramid.maps[:-1], pyramid.strides[:-1]
    flat = at_least_float32(torch.cat(list(boxes)))
    counts = torch.tensor([len(image) for image in boxes], device=flat.device)
    image = torch.arange(len(boxes), device=flat.device).repeat_interleave(
        counts, output_size=len(flat)
    )
    rois = torch.cat([image[:, None].to(flat), flat], dim=1)
    levels = pyramid_levels(flat, strides[0], len(maps))
    pooled = flat.new_zeros(len(flat), maps[0].shape[1], REGION_SIZE, REGION_SIZE)
    with torch.autocast(flat.device.type, enabled=False):
        for number, (level, stride) in enumerate(zip(maps, strides, strict=True)):
            here = (levels == number).nonzero().squeeze(1)
            regions = roi_align(
                at_least_float32(level), rois[here], REGION_SIZE, 1 / stride, 0, aligned=True
            )
            pooled = pooled.index_copy(0, here, regions)
    return pooled
