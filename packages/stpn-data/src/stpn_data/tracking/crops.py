"""Square crops around a box, as MixFormer cuts and resizes them, without OpenCV.

Pixels are those of OpenCV's bilinear resizing of 8-bit images, in integers; only pixels that the
result needs are touched, however large the crop.

H x W the image, S the side of the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_data.crop_axes import Box as Box
from stpn_data.crop_axes import CropAxis, crop_axes
from stpn_data.crop_axes import crop_side as crop_side
from stpn_data.errors import DataError


@dataclass(frozen=True, eq=False)
class Crop:
    """pixels (3, S, S) uint8, black outside the image. padding (S, S) bool: where that took part.
    scale: crop pixels per image pixel."""

    pixels: Tensor
    padding: Tensor
    scale: float


@dataclass(frozen=True, eq=False)
class _Axis:
    """A `CropAxis` on the image's device."""

    first: Tensor
    second: Tensor
    first_weight: Tensor
    second_weight: Tensor
    first_inside: Tensor
    second_inside: Tensor
    padded: Tensor


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
    axes = crop_axes(box, side, size, height, width, parity=parity)
    across, down = (_to(axis, image.device) for axis in axes)
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


def _to(axis: CropAxis, device: torch.device) -> _Axis:
    return _Axis(*(torch.from_numpy(part).to(device) for part in vars(axis).values()))
