"""Forms of boxes as tensors. A target's box in a frame is in `box_in_frame`; what training does to
boxes is in `stpn_data.tracking`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stpn_data.crop_axes import Box as Box


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
