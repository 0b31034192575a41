"""IoU of boxes whose corners are pixels, in the two conventions of ImageNet VID's evaluators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float64]


def pixel_iou(a: Boxes, b: Boxes, extra: float = 1.0) -> NDArray[np.float64]:
    """(n,) IoU of a (n, 4) and b (n, 4), row by row, where a side is `x2 - x1 + extra` long.

    extra=1 counts both corner pixels, as the VOC and ImageNet tools do. 0 where boxes are disjoint,
    also if one of them is turned inside out.
    """
    shared = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]) + extra
    meet = (shared > 0).all(1)
    intersection = np.where(meet, shared[:, 0] * shared[:, 1], 0.0)
    union = pixel_area(a, extra) + pixel_area(b, extra) - intersection
    return np.divide(intersection, union, out=np.zeros(len(a)), where=meet)


def pixel_area(boxes: Boxes, extra: float = 1.0) -> NDArray[np.float64]:
    """(n,) areas in pixels with sides `x2 - x1 + extra`."""
    sides = boxes[:, 2:] - boxes[:, :2] + extra
    return sides[:, 0] * sides[:, 1]
