"""Boxes: their forms, the way from a crop back to the image, and the image's edge.

A `Box` is x, y, w, h in pixels of the image. What training does to boxes is in `stpn_data.tracking`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpn_data.tracking.crops import Box


def corners_of_xywh(boxes: Tensor) -> Tensor:
    """x y w h to x1 y1 x2 y2, (..., 4)."""
    start, size = boxes.split(2, dim=-1)
    return torch.cat([start, start + size], dim=-1)


def corners_of_cxcywh(boxes: Tensor) -> Tensor:
    """Centre x, y and w, h to x1 y1 x2 y2, (..., 4)."""
    centre, size = boxes.split(2, dim=-1)
    return torch.cat([centre - 0.5 * size, centre + 0.5 * size], dim=-1)


def cxcywh_of_corners(boxes: Tensor) -> Tensor:
    """x1 y1 x2 y2 to centre x, y and w, h, (..., 4); w and h are negative if unordered."""
    start, end = boxes.split(2, dim=-1)
    return torch.cat([(start + end) / 2, end - start], dim=-1)


def map_back(predicted: Tensor, previous: Box, size: int, scale: float) -> Box:
    """A box found in a search crop, as a box in the image.

    predicted (4,): centre x, y, w, h in sides of the crop, float32. previous: the box that the crop
    is centred on. size: side of the crop in pixels. scale: crop pixels per image pixel.
    """
    # in float32, as the original does, up to the place in the image
    x, y, w, h = (predicted.detach().float().cpu() * size / scale).tolist()
    half = 0.5 * size / scale
    left, top = (previous[i] + 0.5 * previous[2 + i] - half for i in (0, 1))
    return (x + left - 0.5 * w, y + top - 0.5 * h, w, h)


def clip_box(box: Box, height: int, width: int, margin: float = 10) -> Box:
    """The part of a box inside an image, at least `margin` pixels wide and high.

    An unordered or outside box becomes one of `margin` pixels at the place nearest to its start. In
    an image smaller than the margin the box starts left of (above) the image.
    """
    x, w = _clip(box[0], box[2], width, margin)
    y, h = _clip(box[1], box[3], height, margin)
    return (x, y, w, h)


def _clip(start: float, length: float, side: int, margin: float) -> tuple[float, float]:
    low = min(max(0.0, start), side - margin)
    high = min(max(margin, start + length), side)
    return low, max(margin, high - low)
