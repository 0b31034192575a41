"""How much a predicted box overlaps the annotated one, frame by frame.

Boxes are x, y, w, h in pixels with continuous coordinates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def box_iou(boxes: Array, truth: Array, size: tuple[int, int] | None = None) -> Array:
    """IoU (N,) of boxes (N, 4) and truth (N, 4), from 0 to 1; 0 where both have no area.

    size: width and height of the image to clip both to, as GOT-10k's toolkit does: x and y first,
    then w and h to what is left. A box that begins left of the image is therefore moved into it and
    not cut. NaN in a box gives NaN.
    """
    ours, theirs = _bounded(boxes, size), _bounded(truth, size)
    corner = np.maximum(ours[:, :2], theirs[:, :2])
    end = np.minimum(ours[:, :2] + ours[:, 2:], theirs[:, :2] + theirs[:, 2:])
    shared = np.maximum(end - corner, 0).prod(axis=1)
    union = ours[:, 2:].prod(axis=1) + theirs[:, 2:].prod(axis=1) - shared
    return np.clip(shared / (union + np.finfo(float).eps), 0, 1)


def _bounded(boxes: Array, size: tuple[int, int] | None) -> Array:
    boxes = np.array(boxes, float, copy=True)  # the toolkit changes its input
    if size is not None:
        for axis, limit in enumerate(size):
            boxes[:, axis] = np.clip(boxes[:, axis], 0, limit)
            boxes[:, 2 + axis] = np.clip(boxes[:, 2 + axis], 0, limit - boxes[:, axis])
    return boxes
