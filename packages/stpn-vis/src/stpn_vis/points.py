"""Masks are compared at points rather than everywhere (Kirillov et al. 2020, "PointRend").

N masks, M maps, H x W their size, P points (x, y) in 0..1 over the map.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Draw = Callable[[tuple[int, ...]], Tensor]
"""Uniform random numbers in 0..1 of a shape."""


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values (N, M, P) of maps (N, M, H, W) at points (N, P, 2); zero is outside."""
    grid = 2 * points[:, None] - 1
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False)[:, :, 0]


@torch.no_grad()
def uncertain_points(
    masks: Tensor, draw: Draw, *, points: int, oversample: float, importance: float
) -> Tensor:
    """Points (N, P, 2) for mask logits (N, H, W), of which `points` = P.

    oversample * P are drawn uniformly; of these the importance * P with a logit nearest to 0 are
    kept, and the rest is drawn anew.
    """
    count = len(masks)
    candidates = draw((count, int(points * oversample), 2))
    certain = int(importance * points)
    logits = sample_points(masks[:, None], candidates)[:, 0]
    nearest = logits.abs().topk(certain, dim=1, largest=False).indices
    chosen = candidates.gather(1, nearest[..., None].expand(-1, -1, 2))
    return torch.cat([chosen, draw((count, points - certain, 2))], dim=1)
