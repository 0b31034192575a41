"""Polygons as masks, with the pixels that COCO's API gives them.

COCO draws the outline on a grid five times finer, takes the rows at which it passes the middle of
each pixel column, and fills between them. That rule (cocoapi, `rleFrPoly`) decides which pixels of
the border are inside, so official areas are met exactly only if it is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stpn_data.errors import DataError

_FINER = 5
_MAX_POINTS = 1 << 24  # of an outline on the finer grid


def polygons_mask(polygons: Sequence[ArrayLike], height: int, width: int) -> NDArray[np.uint8]:
    """The mask (H,W) of the union of polygons x1, y1, x2, y2, … of 6 numbers or more each.

    Coordinates are clamped to one width or height beyond the frame. Raises DataError for numbers
    that are not finite, an odd count of them, or an outline of absurd length.
    """
    mask = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        mask |= _filled(_points(polygon, height, width), height, width)
    return mask


def _points(polygon: ArrayLike, height: int, width: int) -> NDArray[np.int64]:
    """(n,2) x, y on the finer grid."""
    if isinstance(polygon, list) and not set(map(type, polygon)) <= {int, float}:
        raise DataError("a polygon is no list of numbers")  # numpy takes "1" and True for numbers
    try:
        points = np.asarray(polygon, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError("a polygon is no list of numbers") from error
    if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
        raise DataError("a polygon needs an even count of finite numbers, 6 or more")
    points = points.reshape(-1, 2).clip([-width, -height], [2 * width, 2 * height])
    return (points * _FINER + 0.5).astype(np.int64)  # towards zero, as in C


def _filled(points: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    x, y = _outline(points)
    turn = np.flatnonzero(x[1:] != x[:-1])
    column = (np.where(x[turn + 1] < x[turn], x[turn + 1], x[turn + 1] - 1) + 0.5) / _FINER - 0.5
    row = (np.minimum(y[turn + 1], y[turn]) + 0.5) / _FINER - 0.5
    inside = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    column, row = column[inside].astype(np.int64), np.ceil(row[inside].clip(0, height))
    # each crossing turns the fill on or off for all pixels after it, in order of columns
    crossings = np.bincount(column * height + row.astype(np.int64), minlength=height * width + 1)
    parity = np.cumsum(crossings[: height * width]) & 1
    return parity.astype(np.uint8).reshape(width, height).T


def _outline(points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """x and y of every point of the closed outline on the finer grid, edge after edge."""
    start, stop = points, np.roll(points, -1, axis=0)
    delta = np.abs(stop - start)
    steps = delta.max(1)
    if steps.sum() > _MAX_POINTS:
        raise DataError(f"the outline of a polygon of {len(points)} corners is absurdly long")
    flat = delta[:, 0] >= delta[:, 1]  # steps along x, else along y
    along = np.where(flat, 0, 1)
    rows = np.arange(len(points))
    backwards = start[rows, along] > stop[rows, along]
    first = np.where(backwards[:, None], stop, start)
    last = np.where(backwards[:, None], start, stop)
    rise = (last - first)[rows, 1 - along]
    slope = rise / np.maximum(steps, 1)
    edge = np.repeat(rows, steps + 1)
    at = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    at = np.where(backwards[edge], steps[edge] - at, at)
    main = at + first[rows, along][edge]
    other = (first[rows, 1 - along][edge] + slope[edge] * at + 0.5).astype(np.int64)
    return np.where(flat[edge], main, other), np.where(flat[edge], other, main)
