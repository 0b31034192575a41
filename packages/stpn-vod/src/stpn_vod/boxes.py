"""Boxes as (…, 4) tensors x1, y1, x2, y2 in pixels: overlap, and the regression code of R-CNN.

A box spans x2 - x1 pixels, with no +1. All arithmetic is in float32 at least: half precision cannot
hold a coordinate above 2048 to the pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MAX_LOG_RATIO = math.log(1000 / 16)
"""A predicted side is at most 1000/16 times, and at least 16/1000 times, the side it refines."""


def at_least_float32(tensor: Tensor) -> Tensor:
    """Half precision widened, float32 and float64 as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def areas(boxes: Tensor) -> Tensor:
    """(…, 4) -> (…,) areas in square pixels; 0 for inverted boxes."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of every pair, (N, 4) and (M, 4) -> (N, M) in [0, 1].

    Two boxes without area overlap by 0, never by NaN.
    """
    first, second = at_least_float32(first), at_least_float32(second)
    top_left = torch.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    intersection = (bottom_right - top_left).clamp(min=0).prod(dim=-1)
    union = areas(first)[:, None] + areas(second)[None, :] - intersection
    return intersection / union.clamp(min=1e-6)


def clip(boxes: Tensor, size: Tensor) -> Tensor:
    """Boxes (…, 4) moved inside images of `size` (…, 2) h, w, border included."""
    width_height = size.to(boxes).flip(-1)
    return torch.minimum(boxes.clamp(min=0), torch.cat([width_height, width_height], dim=-1))


@dataclass(frozen=True)
class BoxCoder:
    """Offset of the centre in units of the reference box, log ratio of the sides, over `stds`.

    Source: Girshick et al., "Rich feature hierarchies", appendix C.
    """

    stds: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def encode(self, reference: Tensor, target: Tensor) -> Tensor:
        """Deltas (N, 4) that move `reference` (N, 4) onto `target` (N, 4); all sides positive."""
        reference, target = at_least_float32(reference), at_least_float32(target)
        sides, target_sides = reference[:, 2:] - reference[:, :2], target[:, 2:] - target[:, :2]
        centres, target_centres = reference[:, :2] + sides / 2, target[:, :2] + target_sides / 2
        deltas = torch.cat(
            [(target_centres - centres) / sides, (target_sides / sides).log()], dim=1
        )
        return deltas / deltas.new_tensor(self.stds)

    def decode(self, reference: Tensor, deltas: Tensor) -> Tensor:
        """Boxes (N, …, 4) that `deltas` (N, …, 4) make of `reference` (N, 4); not clipped."""
        reference, deltas = at_least_float32(reference), at_least_float32(deltas)
        reference = reference.reshape(-1, *(1,) * (deltas.dim() - 2), 4)
        deltas = deltas * deltas.new_tensor(self.stds)
        sides = reference[..., 2:] - reference[..., :2]
        centres = (reference[..., :2] + reference[..., 2:]) / 2
        new_centres = centres + sides * deltas[..., :2]
        new_sides = sides * deltas[..., 2:].clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
        return torch.cat([new_centres - new_sides / 2, new_centres + new_sides / 2], dim=-1)
