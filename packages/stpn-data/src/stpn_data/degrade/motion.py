"""Motion blur along the motion of the camera or of one object."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stpn_data.degrade.frames import (
    Clip,
    FramesT,
    as_clip,
    checked_severity,
    like,
    to_uint8,
    unchanged,
)
from stpn_data.degrade.point_spread import PointSpread, blur
from stpn_data.errors import DataError

LENGTH = 0.1  # of the short side, at severity 1, where no length is given


def motion_blur(
    frames: FramesT,
    severity: float,
    rng: np.random.Generator,
    *,
    motion: NDArray[np.float64] | None = None,
    length: float | None = None,
    shake: float = 0.15,
    boxes: NDArray[np.float64] | None = None,
) -> FramesT:
    """Blur along a line of `severity * length` pixels.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W).
        severity: 0 (identity) to 1.
        rng: draws the direction, one per clip, where `motion` is None.
        motion: (T,2) or (2,) displacement (x, y) in pixels per frame; only its direction counts.
            A frame without motion gets the direction that was drawn.
        length: pixels at severity 1; a tenth of the short side if None.
        shake: standard deviation across all directions as a share of the length, since no hand
            moves a camera on a ruled line.
        boxes: (T,4) or (4,) x1, y1, x2, y2 of the object that moves: only the ellipse in its box is
            smeared, over a background that stays sharp. None: the camera moves and all is blurred.
    """
    clip = as_clip(frames)
    if checked_severity(severity) == 0:
        return unchanged(frames)
    extent = severity * (LENGTH * min(clip.shape[-2:]) if length is None else length)
    drawn = rng.uniform(0, math.pi)
    angles = np.full(len(clip), drawn)
    if motion is not None:
        steps = _per_frame(motion, len(clip), 2, "motion")
        moving = np.hypot(steps[:, 0], steps[:, 1]) > 1e-6
        angles[moving] = np.arctan2(steps[moving, 1], steps[moving, 0])
    regions = None if boxes is None else _per_frame(boxes, len(clip), 4, "boxes")
    result = np.empty_like(clip)
    for t, angle in enumerate(angles):
        spread = PointSpread(line=extent, angle=float(angle), sigma=shake * extent)
        if regions is None:
            result[t] = to_uint8(blur(clip[t].astype(np.float32), spread))
        else:
            result[t] = _smear(clip[t], _ellipse(regions[t], clip), spread)
    return like(result, frames)


def object_motion(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacement of the box centre per frame, central differences: (T,4) -> (T,2) pixels."""
    boxes = np.asarray(boxes, dtype=np.float64)
    if len(boxes) < 2:
        return np.zeros((len(boxes), 2))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.gradient(centres, axis=0)


def _smear(frame: NDArray[np.uint8], mask: NDArray[np.float32], spread: PointSpread) -> Clip:
    """The pixels under `mask` (H,W) travel, the others stay: both weights add up to one."""
    sharp = frame.astype(np.float32)
    layers = blur(np.concatenate([sharp * mask, mask[None]]), spread, edge="constant")
    moved, coverage = layers[:3], np.clip(layers[3], 0.0, 1.0)
    return to_uint8(moved + (1 - coverage) * sharp)


def _ellipse(box: NDArray[np.float64], clip: Clip) -> NDArray[np.float32]:
    """Soft-edged ellipse inscribed in `box`, (H,W) from 0 to 1."""
    x1, y1, x2, y2 = box
    half_width, half_height = max((x2 - x1) / 2, 1e-3), max((y2 - y1) / 2, 1e-3)
    y = (np.arange(clip.shape[-2])[:, None] + 0.5 - (y1 + y2) / 2) / half_height
    x = (np.arange(clip.shape[-1])[None, :] + 0.5 - (x1 + x2) / 2) / half_width
    distance = (1 - np.hypot(x, y)) * min(half_width, half_height)
    return np.clip(distance + 0.5, 0.0, 1.0).astype(np.float32)


def _per_frame(values: NDArray[np.float64], length: int, width: int, name: str) -> NDArray:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[None]
    if array.shape not in ((1, width), (length, width)) or not np.isfinite(array).all():
        raise DataError(
            f"{name} needs one finite row of {width} numbers per frame, shape ({length},{width}), "
            f"not {np.shape(values)}"
        )
    return np.broadcast_to(array, (length, width))
