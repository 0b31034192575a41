"""A target's box in a frame: what can be one, from the crop back to the frame, and the frame's edge.

Needs no torch. A `Box` is x, y, w, h in pixels of the frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_data.crop_axes import Box


def check_box(box: Box, height: int, width: int) -> Box:
    """The box, if a target can be there in a frame of `height` x `width` pixels; else InputError."""
    x, y, w, h = (float(value) for value in box)
    said = f"box x, y, w, h = {x:g}, {y:g}, {w:g}, {h:g}"
    if not all(map(math.isfinite, (x, y, w, h))):
        raise InputError(f"{said}: every number must be finite")
    if w <= 0 or h <= 0 or w * h == 0:  # so little that nothing is left of the area
        raise InputError(f"{said}: width and height must be greater than 0")
    if w > 10 * width or h > 10 * height:
        raise InputError(f"{said}: more than ten times the frame of {width} x {height} pixels")
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        raise InputError(f"{said}: outside the frame of {width} x {height} pixels")
    return (x, y, w, h)


def map_back(
    predicted: Sequence[float] | NDArray[Any], previous: Box, size: int, scale: float
) -> Box:
    """A box found in a search crop, as a box in the frame.

    predicted (4,): centre x, y, w, h in sides of the crop, float32. previous: the box that the crop
    is centred on. size: side of the crop in pixels. scale: crop pixels per image pixel.
    """
    # in float32, as the original does, up to the place in the image
    x, y, w, h = (np.asarray(predicted, np.float32) * size / scale).tolist()
    half = 0.5 * size / scale
    left, top = (previous[i] + 0.5 * previous[2 + i] - half for i in (0, 1))
    return (x + left - 0.5 * w, y + top - 0.5 * h, w, h)


def clip_box(box: Box, height: int, width: int, margin: float = 10) -> Box:
    """The part of a box inside an image, at least `margin` pixels wide and high.

    An unordered or outside box becomes one of `margin` pixels at the place nearest to its start. In
    an image smaller than the margin the box starts left of (above) the image.
    """
    x, w = _clip(box[0], box[2], width, margin)
    y, h = _clip(box[1], box[3], height, margin)
    return (x, y, w, h)


def _clip(start: float, length: float, side: int, margin: float) -> tuple[float, float]:
    low = min(max(0.0, start), side - margin)
    high = min(max(margin, start + length), side)
    return low, max(margin, high - low)
