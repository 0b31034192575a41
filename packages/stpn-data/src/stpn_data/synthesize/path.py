"""How things move: smooth closed curves at constant speed, slow, medium or fast by motion IoU."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stpn_data.synthesize.body import Pose

SPEEDS = ("slow", "medium", "fast")
# Distance per frame as a share of the object's diameter.
STEP = {"slow": (0.0005, 0.006), "medium": (0.013, 0.035), "fast": (0.05, 0.12)}
# Mean IoU of a box with itself within ±10 frames, the usual limits of the three groups.
LIMITS = {"slow": (0.9, 1.01), "medium": (0.7, 0.9), "fast": (-1.0, 0.7)}
WINDOW = 10
TRIES = 60

Boxes = NDArray[np.float64]  # (T,4) x1, y1, x2, y2


def motion_iou(boxes: Boxes) -> NDArray[np.float64]:
    """For each frame of a track the mean IoU of its box with those within ±10 frames: (T,4) -> (T,).

    1 where there is no other frame (the usual convention: a thing seen once is slow).
    """
    count = len(boxes)
    left = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    right = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = np.clip(right - left, 0, None).prod(axis=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    iou = overlap / np.maximum(area[:, None] + area[None, :] - overlap, 1e-9)
    apart = np.abs(np.arange(count)[:, None] - np.arange(count)[None, :])
    near = (apart > 0) & (apart <= WINDOW)
    total = (iou * near).sum(axis=1)
    return np.where(near.any(axis=1), total / np.maximum(near.sum(axis=1), 1), 1.0)


def draw_path(
    rng: np.random.Generator,
    speed: str,
    frames: int,
    height: int,
    width: int,
    radius: float,
    others: list[list[Pose]],
) -> list[Pose]:
    """Poses of one object through the video, inside the frame all the time.

    Draws until the mean motion IoU lies within the limits of `speed` and the object keeps clear of
    `others`; after 60 tries the best one is taken.
    """
    best: tuple[float, list[Pose]] | None = None
    for _ in range(TRIES):
        poses = _draw(rng, speed, frames, height, width, radius)
        boxes = _extent(poses)
        value = float(motion_iou(boxes).mean())
        low, high = LIMITS[speed]
        miss = max(low - value, value - high, 0.0)
        overlap = max((float(meetings(poses, other).max()) for other in others), default=0.0)
        score = 10 * miss + overlap
        if best is None or score < best[0]:
            best = (score, poses)
        if score < 0.05:
            break
    assert best is not None
    return best[1]


def _draw(
    rng: np.random.Generator, speed: str, frames: int, height: int, width: int, radius: float
) -> list[Pose]:
    low, high = STEP[speed]
    step = math.exp(rng.uniform(math.log(low), math.log(high))) * 2 * radius
    breath, beat = rng.uniform(0, 0.06), rng.uniform(0.05, 0.2)
    spin = rng.uniform(-0.03, 0.03)
    margin = 1.25 * radius * (1 + breath)
    span = np.array([max(width - 2 * margin, 0.0), max(height - 2 * margin, 0.0)]) / 2
    reach = span * rng.uniform(0.55, 1.0, 2)
    centre = np.array([width, height]) / 2 + (span - reach) * rng.uniform(-1, 1, 2)
    # an eight, an ellipse or something between, walked at constant speed
    phase = np.linspace(0, 8 * math.pi, 8000) + rng.uniform(0, 2 * math.pi)
    offset, beats = rng.uniform(0, 2 * math.pi), rng.choice([1.0, 2.0], size=2)
    curve = centre + reach * np.stack(
        [np.sin(beats[0] * phase), np.sin(beats[1] * phase + offset)], axis=1
    )
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(curve, axis=0).T))])
    walked = np.minimum(step * np.arange(frames), length[-1])
    xs, ys = (np.interp(walked, length, curve[:, axis]) for axis in (0, 1))
    angle, tide = rng.uniform(0, 2 * math.pi, 2)
    times = np.arange(frames)
    radii = radius * (1 + breath * np.sin(beat * times + tide))
    return [
        Pose(float(x), float(y), float(r), float(angle + spin * t))
        for t, x, y, r in zip(times, xs, ys, radii, strict=True)
    ]


def _extent(poses: list[Pose]) -> Boxes:
    table = np.array([(pose.x, pose.y, pose.radius) for pose in poses])
    return np.concatenate([table[:, :2] - table[:, 2:], table[:, :2] + table[:, 2:]], axis=1)


def meetings(one: list[Pose], other: list[Pose]) -> NDArray[np.float64]:
    """(T,) share of the smaller of two objects that the other one's square covers, frame by frame."""
    first, second = _extent(one), _extent(other)
    left = np.maximum(first[:, :2], second[:, :2])
    right = np.minimum(first[:, 2:], second[:, 2:])
    common = np.clip(right - left, 0, None).prod(axis=1)
    area = np.minimum(
        (first[:, 2:] - first[:, :2]).prod(axis=1), (second[:, 2:] - second[:, :2]).prod(axis=1)
    )
    return common / area
