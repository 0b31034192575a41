"""Square crops around a box in numpy, bit for bit those of `stpn_data.tracking.crops`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpn_data.crop_axes import Box, CropAxis, crop_axes, crop_side
from stpn_data.errors import DataError


def cut(
    image: NDArray[np.uint8], box: Box, factor: float, size: int, *, parity: bool = True
) -> tuple[NDArray[np.uint8], float]:
    """Pixels (3, S, S) and crop pixels per image pixel, of an image (3, H, W); see `crops.cut`."""
    if image.ndim != 3 or image.dtype != np.uint8:
        raise DataError(f"image must be (3, H, W) uint8, got {image.shape} {image.dtype}")
    side = crop_side(box, factor)
    height, width = image.shape[1:]
    across, down = crop_axes(box, side, size, height, width, parity=parity)
    upper = _weighted(image, down.first, across) * down.first_inside[:, None]
    lower = _weighted(image, down.second, across) * down.second_inside[:, None]
    # the order and the shifts of OpenCV's 8-bit path, to round as it does
    pixels = (down.first_weight[:, None] * (upper >> 4)) >> 16
    pixels += (down.second_weight[:, None] * (lower >> 4)) >> 16
    return np.clip((pixels + 2) >> 2, 0, 255).astype(np.uint8), size / side


def _weighted(
    image: NDArray[np.uint8], rows: NDArray[np.int64], axis: CropAxis
) -> NDArray[np.int32]:
    """Chosen rows interpolated along W, times 2^WEIGHT_BITS, (3, S, S)."""
    chosen = image[:, rows]
    left = chosen[:, :, axis.first].astype(np.int32) * (axis.first_weight * axis.first_inside)
    right = chosen[:, :, axis.second].astype(np.int32) * (axis.second_weight * axis.second_inside)
    return left + right
