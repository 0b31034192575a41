"""Resizing pixels in numpy, bit for bit as torch resizes uint8 images on a CPU.

Source: the integer arithmetic of ATen's bilinear resizing for uint8 (after Pillow): weights in 16
bits, rows first, rounded to a level after each direction.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stpn_data.fit import Resampling

_MOST_BITS = 22


def resize(
    pixels: NDArray[np.uint8], size: tuple[int, int], resampling: Resampling = "antialias"
) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) to uint8 (*size, 3), bilinear; see `stpn_data.transforms.resize`."""
    height, width = size
    if width != pixels.shape[1]:
        pixels = _along(pixels, 1, width, resampling)
    if height != pixels.shape[0]:
        pixels = _along(pixels, 0, height, resampling)
    return pixels


def _along(
    pixels: NDArray[np.uint8], axis: int, length: int, resampling: Resampling
) -> NDArray[np.uint8]:
    places, weights, bits = _taps(pixels.shape[axis], length, resampling)
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    total: NDArray[np.int32] | None = None
    for tap in range(places.shape[1]):
        part = np.take(pixels, places[:, tap], axis=axis).astype(np.int32)
        part *= weights[:, tap].reshape(shape)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    total += 1 << (bits - 1)
    total >>= bits
    return np.clip(total, 0, 255, out=total).astype(np.uint8)


@lru_cache(maxsize=64)
def _taps(
    source: int, target: int, resampling: Resampling
) -> tuple[NDArray[np.intp], NDArray[np.int32], int]:
    """Which pixels (target, taps) make each new one, with what weights, and the bits of these."""
    filtered = resampling == "antialias"
    places, weights = (_filtered if filtered else _nearest_two)(source, target)
    bits = 0
    while bits < _MOST_BITS and int(0.5 + weights.max() * (1 << (bits + 1))) < 1 << 15:
        bits += 1
    levels = (weights * (1 << bits) + 0.5).astype(np.int32)
    return np.minimum(places, source - 1), levels, bits


def _filtered(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    scale = source / target
    stretch = max(scale, 1.0)
    centre = scale * (np.arange(target) + 0.5)
    first = np.maximum((centre - stretch + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + stretch + 0.5).astype(np.int64), source)
    taps = 2 * int(np.ceil(stretch)) + 1
    places = first[:, None] + np.arange(taps)
    distance = (places - centre[:, None] + 0.5) * (1.0 / stretch)
    weights = np.maximum(1.0 - np.abs(distance), 0.0)
    weights[places >= last[:, None]] = 0.0
    # one by one, for the sum is rounded in this order there
    total = np.zeros(target)
    for tap in range(taps):
        total += weights[:, tap]
    return places, weights / total[:, None]


def _nearest_two(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    at = np.maximum(source / target * (np.arange(target) + 0.5) - 0.5, 0.0)
    first = np.minimum(at.astype(np.int64), source - 1)
    beyond = np.clip(at - first, 0.0, 1.0)
    return first[:, None] + np.arange(2), np.stack([1.0 - beyond, beyond], axis=1)
