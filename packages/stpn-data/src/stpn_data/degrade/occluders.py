"""Occluders: bars and leaves that move in front of the scene, or cover given boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stpn_data.degrade.frames import (
    FramesT,
    as_clip,
    checked_severity,
    like,
    to_uint8,
    unchanged,
)
from stpn_data.degrade.point_spread import PointSpread, blur
from stpn_data.errors import DataError

BARS, LEAVES = 4, 7  # how many cross a frame
GRAIN = 160  # cells of the occluders' texture along the short side

Floats = NDArray[np.floating]


def occlude(
    frames: FramesT,
    severity: float,
    rng: np.random.Generator,
    *,
    start: int = 0,
    targets: NDArray[np.float64] | None = None,
) -> FramesT:
    """Put textured occluders in front.

    Without `targets`, bars and leaves drift through the frame and cover about half of it at
    severity 1. With `targets`, each box gets a leaf on a stalk that hangs about in front of it and
    covers the share `severity` of its area, all of it at 1 but for the very corners.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W).
        severity: 0 (identity) to 1.
        rng: draws shapes, colours and paths: one set for the clip, whatever its length.
        start: number of the first frame, for frames that come one by one: with an equal `rng` they
            get what the whole clip gets.
        targets: (T,n,4), or (n,4) for one frame, x1, y1, x2, y2.
    """
    clip = as_clip(frames)
    if checked_severity(severity) == 0:
        return unchanged(frames)
    height, width = clip.shape[-2:]
    boxes = None if targets is None else _boxes(targets, len(clip))
    bars = [_bar(rng) for _ in range(BARS if boxes is None else 0)]
    leaves = [_leaf(rng) for _ in range(LEAVES if boxes is None else boxes.shape[1])]
    paint = _paint(rng, height, width)
    result = np.empty_like(clip)
    for i, frame in enumerate(clip):
        cover = np.zeros((height, width), dtype=np.float32)
        for bar in bars:
            bar.cross(cover, severity, start + i)
        for n, leaf in enumerate(leaves):
            if boxes is None:
                leaf.cross(cover, severity, start + i)
            else:
                leaf.hide(cover, severity, start + i, boxes[i, n])
        result[i] = to_uint8(frame * (1 - cover) + paint * cover)
    return like(result, frames)


@dataclass(frozen=True)
class _Bar:
    """A straight bar across the frame. Lengths are shares of the short side."""

    angle: float
    offset: float
    speed: float  # per frame
    thickness: float

    def cross(self, cover: Floats, severity: float, t: int) -> None:
        """Draw into `cover` (H,W) where the bar is at time t."""
        height, width = cover.shape
        normal = math.cos(self.angle), math.sin(self.angle)
        span = abs(normal[0]) * width + abs(normal[1]) * height
        place = ((self.offset + self.speed * t) % 1.0 - 0.5) * span
        _draw_band(
            cover,
            (width / 2 + place * normal[0], height / 2 + place * normal[1]),
            normal,
            self.thickness * min(height, width) * severity / 2,
        )


@dataclass(frozen=True)
class _Leaf:
    """An irregular patch; on a stalk where it hides a target."""

    x: float
    y: float
    speed_x: float
    speed_y: float
    radius: float
    lobes: int
    phase: float
    sway: float  # angle of its wandering about a target

    def cross(self, cover: Floats, severity: float, t: int) -> None:
        height, width = cover.shape
        radius = self.radius * min(height, width) * severity
        # it leaves the frame entirely before it comes in again on the other side
        x = (self.x + self.speed_x * t) % 1.0 * (width + 2 * radius) - radius
        y = (self.y + self.speed_y * t) % 1.0 * (height + 2 * radius) - radius
        self._draw(cover, (x, y), (radius, radius), corner=2.5)

    def hide(self, cover: Floats, severity: float, t: int, box: Floats) -> None:
        x1, y1, x2, y2 = (float(side) for side in box)
        half_width, half_height = max((x2 - x1) / 2, 1e-3), max((y2 - y1) / 2, 1e-3)
        share = math.sqrt(severity)
        wander = (1 - share) * 0.7
        turn = self.sway + 0.35 * t
        x = (x1 + x2) / 2 + wander * half_width * math.cos(turn)
        y = (y1 + y2) / 2 + wander * half_height * math.sin(turn)
        self._draw(cover, (x, y), (share * half_width, share * half_height), corner=3)
        normal = -math.sin(self.phase), math.cos(self.phase)
        thickness = 0.12 * share * min(half_width, half_height)
        _draw_band(cover, (x, y), normal, thickness, one_sided=True)

    def _draw(
        self,
        cover: Floats,
        centre: tuple[float, float],
        half: tuple[float, float],
        corner: float,
    ) -> None:
        """Outline (|u|^corner + |v|^corner = 1) widened by 0 to 10 % along its lobes.

        A corner of 2 is an ellipse, a larger one is squarer.
        """
        window, x, y = _window(cover, centre, half, reach=1.15)
        if x.size == 0 or y.size == 0:
            return
        u, v = x / half[0], y / half[1]
        wobble = 1.05 + 0.05 * np.cos(self.lobes * np.arctan2(v, u) + self.phase)
        norm = (np.abs(u) ** corner + np.abs(v) ** corner) ** (1 / corner)
        mask = _soft((wobble - norm) * min(half))
        np.maximum(cover[window], mask, out=cover[window])


def _draw_band(
    cover: Floats,
    point: tuple[float, float],
    normal: tuple[float, float],
    half_thickness: float,
    one_sided: bool = False,
) -> None:
    """Line through `point`, or its half that starts there, towards the normal turned by 90°."""
    x = np.arange(cover.shape[1], dtype=np.float32)[None, :] + np.float32(0.5 - point[0])
    y = np.arange(cover.shape[0], dtype=np.float32)[:, None] + np.float32(0.5 - point[1])
    mask = _soft(half_thickness - np.abs(x * normal[0] + y * normal[1]))
    if one_sided:
        mask *= (x * -normal[1] + y * normal[0]) > 0
    np.maximum(cover, mask, out=cover)


def _window(
    cover: Floats, centre: tuple[float, float], half: tuple[float, float], reach: float
) -> tuple[tuple[slice, slice], Floats, Floats]:
    """The part of `cover` that a shape can touch, and x (1,w), y (h,1) of its pixel centres."""
    slices, offsets = [], []
    for size, middle, extent in zip(cover.shape, centre[::-1], half[::-1], strict=True):
        first = min(max(math.floor(middle - reach * extent - 1), 0), size)
        last = min(max(math.ceil(middle + reach * extent + 1), first), size)
        slices.append(slice(first, last))
        offsets.append(np.arange(first, last, dtype=np.float32) + np.float32(0.5 - middle))
    return (slices[0], slices[1]), offsets[1][None, :], offsets[0][:, None]


def _bar(rng: np.random.Generator) -> _Bar:
    return _Bar(
        angle=float(rng.uniform(0, math.pi)),
        offset=float(rng.random()),
        speed=float(rng.uniform(-0.02, 0.02)),
        thickness=float(rng.uniform(0.08, 0.16)),
    )


def _leaf(rng: np.random.Generator) -> _Leaf:
    return _Leaf(
        x=float(rng.random()),
        y=float(rng.random()),
        speed_x=float(rng.uniform(-0.03, 0.03)),
        speed_y=float(rng.uniform(-0.03, 0.03)),
        radius=float(rng.uniform(0.1, 0.22)),
        lobes=int(rng.integers(3, 8)),
        phase=float(rng.uniform(0, 2 * math.pi)),
        sway=float(rng.uniform(0, 2 * math.pi)),
    )


def _paint(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """(3,H,W) one muted colour, mottled at two scales."""
    colour = rng.uniform(60, 150) + rng.uniform(-30, 30, 3) * np.array([1.0, 0.7, 1.0])
    scale = min(1.0, GRAIN / min(height, width))  # fine detail of an occluder is worth no time
    rows, columns = math.ceil(height * scale), math.ceil(width * scale)
    field = rng.standard_normal((2, rows, columns), dtype=np.float32)
    coarse = blur(field[0], PointSpread(sigma=0.05 * min(rows, columns)))
    fine = blur(field[1], PointSpread(sigma=1.0))
    mottle = 14 * coarse / (coarse.std() + 1e-6) + 10 * fine / (fine.std() + 1e-6)
    full = Image.fromarray(mottle).resize((width, height), Image.Resampling.BICUBIC)
    return (colour[:, None, None] + np.asarray(full)[None]).astype(np.float32)


def _boxes(targets: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    boxes = np.asarray(targets, dtype=np.float64)
    boxes = boxes[None] if boxes.ndim == 2 else boxes
    if boxes.ndim != 3 or boxes.shape[0] != length or boxes.shape[2] != 4:
        raise DataError(
            f"targets need shape ({length},n,4), the boxes of each frame, not {np.shape(targets)}"
        )
    return boxes


def _soft(distance: Floats) -> Floats:
    """Edge one pixel wide: 1 inside (positive distance), 0 outside."""
    return np.clip(distance + 0.5, 0.0, 1.0)
