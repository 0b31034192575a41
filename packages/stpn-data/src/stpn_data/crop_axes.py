"""Where the pixels of a square crop come from, along each side; needs no torch.

S the side of the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, w, h in pixels of the image, (x, y) the upper left corner, continuous coordinates."""

WEIGHT_BITS = 11  # of OpenCV's bilinear weights


@dataclass(frozen=True, eq=False)
class CropAxis:
    """Two neighbours in the image for each of S pixels, their weights (of 2^WEIGHT_BITS, 0 or 1 if
    inside), and where what is outside of the image takes part."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    first_weight: NDArray[np.int32]
    second_weight: NDArray[np.int32]
    first_inside: NDArray[np.int32]
    second_inside: NDArray[np.int32]
    padded: NDArray[np.bool_]


def crop_side(box: Box, factor: float) -> int:
    """Side in image pixels of a crop of `factor` times the box's root area.

    Raises DataError for a box without area, or one that is not finite.
    """
    if not all(map(math.isfinite, box)) or min(box[2:]) <= 0:
        raise DataError(f"cannot cut around the box x, y, w, h = {box}: it has no area")
    return math.ceil(math.sqrt(box[2] * box[3]) * factor)


def crop_axes(
    box: Box, side: int, size: int, height: int, width: int, *, parity: bool
) -> tuple[CropAxis, CropAxis]:
    """Across and down, for a crop of `side` image pixels around `box`, resized to `size`, from an
    image of height x width. parity: see `crops.cut`."""
    start = [round(box[i] + 0.5 * box[2 + i] - 0.5 * side) for i in (0, 1)]
    across = _axis(start[0], side, size, width, parity=parity, free=False)
    return across, _axis(start[1], side, size, height, parity=parity, free=True)


def _axis(start: int, side: int, size: int, limit: int, *, parity: bool, free: bool) -> CropAxis:
    """Along one side of the image, `limit` pixels long.

    free: weights at the ends stay as they are and both neighbours are the last pixel, which is the
    same but for rounding; OpenCV does so for rows and not for columns.
    """
    place = ((np.arange(size) + 0.5) * (side / size) - 0.5).astype(np.float32)
    before = np.floor(place)
    part = place - before
    if not free:
        part[(before < 0) | (before >= side - 1)] = 0
    index = before.astype(np.int64)
    neighbours = [np.clip(index + step, 0, side - 1) + start for step in (0, 1)]
    end = limit - 1 if parity and start + side >= limit else limit
    inside = [(at >= 0) & (at < end) for at in neighbours]
    padded = np.zeros(size, np.bool_)
    for here, weight in zip(inside, (1 - part, part), strict=True):
        padded |= ~here & (weight > 0)
    first, second = (np.clip(at, 0, limit - 1) for at in neighbours)
    first_weight, second_weight = (
        np.round(weight * 2**WEIGHT_BITS).astype(np.int32) for weight in (1 - part, part)
    )
    return CropAxis(
        first,
        second,
        first_weight,
        second_weight,
        inside[0].astype(np.int32),
        inside[1].astype(np.int32),
        padded,
    )
