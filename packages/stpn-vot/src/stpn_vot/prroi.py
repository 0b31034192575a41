"""Precise RoI pooling (Jiang et al., ECCV 2018), in closed form.

The feature map is a surface, bilinear between cells and falling to zero outside; a bin's value is
the mean of that surface over the bin. The surface is a sum of products of hat functions of x and of
y, so the integral is a product of two small matrices with the map, exact and differentiable in the
features and in the box.

B boxes, C channels, h x w the map, s bins per side.
"""

from __future__ import annotations

import torch
from torch import Tensor


def precise_roi_pool(features: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Pool maps (B, C, h, w) in boxes (B, 4), x1 y1 x2 y2 in cells, to (B, C, s, s).

    Cell i has its centre at coordinate i. A box without width or height, or an inverted one, gives
    zeros, and no gradient.
    """
    height, width = features.shape[2:]
    # integrals are differences of near equal numbers, too coarse in half precision
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    across = _bin_means(boxes[:, 0], boxes[:, 2], width, size).to(features.dtype)
    down = _bin_means(boxes[:, 1], boxes[:, 3], height, size).to(features.dtype)
    return torch.einsum("bih,bchw,bjw->bcij", down, features, across)


def _bin_means(start: Tensor, end: Tensor, cells: int, size: int) -> Tensor:
    """How much each cell has in the mean over each bin, (B, s, cells)."""
    length = (end - start) / size
    has_length = length > 0
    length = torch.where(has_length, length, 1)
    edges = torch.arange(size + 1, device=start.device).to(start)
    edges = start[:, None] + length[:, None] * edges
    centres = torch.arange(cells, device=start.device).to(start)
    below = _hat_integral(edges[:, :, None] - centres)
    means = (below[:, 1:] - below[:, :-1]) / length[:, None, None]
    return torch.where(has_length[:, None, None], means, 0)


def _hat_integral(x: Tensor) -> Tensor:
    """Integral from minus infinity to x of the hat max(0, 1 - |t|)."""
    x = x.clamp(-1, 1)
    return 0.5 + x - 0.5 * x * x.abs()
