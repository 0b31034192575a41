"""Square crops around a box, as MixFormer cuts and resizes them, without OpenCV.

Pixels are those of OpenCV's bilinear resizing of 8-bit images, in integers; only pixels that the
result needs are touched, however large the crop.

H x W the image, S the side of the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from stpn_data.errors import DataError

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, w, h in pixels of the image, (x, y) the upper left corner, continuous coordinates."""

WEIGHT_BITS = 11  # of OpenCV's bilinear weights


@dataclass(frozen=True, eq=False)
class Crop:
    """pixels (3, S, S) uint8, black outside the image. padding (S, S) bool: where that took part.
    scale: crop pixels per image pixel."""

    pixels: Tensor
    padding: Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class _Axis:
    """Where S pixels of the result come from along one side: two neighbours and their weights."""

    first: Tensor
    second: Tensor
    first_weight: Tensor
    second_weight: Tensor
    first_inside: Tensor
    second_inside: Tensor
    padded: Tensor


def crop_side(box: Box, factor: float) -> int:
    """Side in image pixels of a crop of `factor` times the box's root area.

    Raises DataError for a box without area, or one that is not finite.
    """
    if not all(map(math.isfinite, box)) or min(box[2:]) <= 0:
        raise DataError(f"cannot cut around the box x, y, w, h = {box}: it has no area")
    return math.ceil(math.sqrt(box[2] * box[3]) * factor)


def cut(image: Tensor, box: Box, factor: float, size: int, *, parity: bool = True) -> Crop:
    """The square around a box, `factor` times its root area wide, resized to `size` pixels.

    image: (3, H, W) uint8. parity: where a crop reaches the image's right or lower edge, the
    image's last pixels there count as outside, as in the original. Raises DataError for a box
    without area.
    """
    if image.ndim != 3 or image.dtype != torch.uint8:
        raise DataError(f"image must be (3, H, W) uint8, got {tuple(image.shape)} {image.dtype}")
    side = crop_side(box, factor)
    height, width = image.shape[1:]
    start = [round(box[i] + 0.5 * box[2 + i] - 0.5 * side) for i in (0, 1)]
    across = _axis(start[0], side, size, width, parity=parity, free=False)
    down = _axis(start[1], side, size, height, parity=parity, free=True)
    across, down = _to(across, image.device), _to(down, image.device)
    upper = _weighted(image.index_select(1, down.first), across) * down.first_inside[:, None]
    lower = _weighted(image.index_select(1, down.second), across) * down.second_inside[:, None]
    # the order and the shifts of OpenCV's 8-bit path, to round as it does
    pixels = (down.first_weight[:, None] * (upper >> 4)) >> 16
    pixels += (down.second_weight[:, None] * (lower >> 4)) >> 16
    pixels = ((pixels + 2) >> 2).clamp(0, 255).to(torch.uint8)
    return Crop(pixels, across.padded[None, :] | down.padded[:, None], size / side)


def _weighted(rows: Tensor, axis: _Axis) -> Tensor:
    """Rows (3, S, W) interpolated along W, times 2^WEIGHT_BITS, (3, S, S) int32."""
    left = rows.index_select(2, axis.first).int() * (axis.first_weight * axis.first_inside)
    right = rows.index_select(2, axis.second).int() * (axis.second_weight * axis.second_inside)
    return left + right


def _axis(start: int, side: int, size: int, limit: int, *, parity: bool, free: bool) -> _Axis:
    """Along one side of the image, `limit` pixels long.

    free: weights at the ends stay as they are and both neighbours are the last pixel, which is the
    same but for rounding; OpenCV does so for rows and not for columns.
    """
    place = ((torch.arange(size, dtype=torch.float64) + 0.5) * (side / size) - 0.5).float()
    before = place.floor()
    part = place - before
    if not free:
        part[(before < 0) | (before >= side - 1)] = 0
    index = before.long()
    neighbours = [(index + step).clamp(0, side - 1) + start for step in (0, 1)]
    end = limit - 1 if parity and start + side >= limit else limit
    inside = [(at >= 0) & (at < end) for at in neighbours]
    padded = torch.zeros(size, dtype=torch.bool)
    for here, weight in zip(inside, (1 - part, part), strict=True):
        padded |= ~here & (weight > 0)
    first, second = (at.clamp(0, limit - 1) for at in neighbours)
    first_weight, second_weight = (
        (weight * 2**WEIGHT_BITS).round().int() for weight in (1 - part, part)
    )
    return _Axis(
        first, second, first_weight, second_weight, inside[0].int(), inside[1].int(), padded
    )


def _to(axis: _Axis, device: torch.device) -> _Axis:
    return _Axis(*(getattr(axis, name).to(device) for name in axis.__dataclass_fields__))
