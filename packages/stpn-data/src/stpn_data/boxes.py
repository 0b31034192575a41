"""Boxes as a network may see them: finite, inside the frame, with a width and a height.

An index keeps boxes exactly as annotated and evaluation measures against those. Training cleans
them first: sides outside the frame are moved to its border, and what is left without area is
dropped, both counted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FAR = float(np.finfo(np.float32).max)


class CleanBoxes(NamedTuple):
    """What is left of n boxes."""

    boxes: NDArray[np.float32]  # (k,4) x1, y1, x2, y2
    kept: NDArray[np.int64]  # (k,) rows of the input
    clipped: int  # kept boxes that reached outside the frame
    dropped: int  # n - k


def clean_boxes(boxes: ArrayLike, size: ArrayLike, *, min_side: float = 1.0) -> CleanBoxes:
    """Clip boxes to the frame and drop those that are not finite or too thin.

    boxes (n,4) x1, y1, x2, y2 in pixels, any number type; size (2,) or (n,2) width, height in
    pixels, with 0 for a side that is not known and so bounds nothing. A box is dropped if it holds
    NaN or infinity, or if a side is below `min_side` pixels (or not above 0) after clipping;
    inverted boxes are dropped, never turned round.
    """
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    sides = np.asarray(size, np.float64)
    sides = np.asarray(np.where(sides > 0, sides, _FAR))
    limit = np.broadcast_to(np.concatenate([sides, sides], axis=-1), given.shape)
    finite = np.asarray(np.isfinite(given).all(axis=1))
    inside = np.minimum(np.maximum(np.where(finite[:, None], given, 0.0), 0.0), limit)
    result = inside.astype(np.float32)  # sides are compared after rounding to what is returned
    wide: NDArray[Any] = result[:, 2:] - result[:, :2]
    good = finite & (wide > 0).all(axis=1) & (wide >= min_side).all(axis=1)
    changed = good & (inside != given).any(axis=1)
    kept = np.flatnonzero(good)
    return CleanBoxes(result[kept], kept, int(changed.sum()), len(given) - len(kept))
