"""Where an object will be on the next frame: a Kalman filter of constant velocity.

The noise is taken in units of the object's own sides, and then the filter's covariance is the same
for all four numbers of a box: three numbers per track instead of an 8 x 8 matrix.

T tracks; a box is centre x, centre y, width, height in pixels; time is counted in frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# standard deviations, in sides of the box (per frame, per frame squared)
_BOX = 0.05  # of a detected box
_FIRST_SPEED = 0.2  # of an object seen once
_ACCELERATION = 0.02


@dataclass(frozen=True, eq=False)
class Motion:
    """Places (T, 4) and velocities (T, 4) of T objects; spread (T, 3): variance of the place,
    covariance of place and velocity, variance of the velocity. Nothing changes in place."""

    boxes: Floats
    velocity: Floats
    spread: Floats

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: NDArray[np.bool_]) -> Motion:
        """Only some of the objects."""
        return Motion(self.boxes[which], self.velocity[which], self.spread[which])

    def corners(self) -> Floats:
        """(T, 4) x1, y1, x2, y2."""
        half = self.boxes[:, 2:] / 2
        return np.concatenate([self.boxes[:, :2] - half, self.boxes[:, :2] + half], axis=1)


def at_rest(corners: Floats) -> Motion:
    """Objects seen once at `corners` (T, 4): how fast they are is not known."""
    boxes = _centred(corners)
    spread = np.tile([_BOX**2, 0.0, _FIRST_SPEED**2], (len(boxes), 1))
    return Motion(boxes, np.zeros_like(boxes), spread)


def joined(first: Motion, second: Motion) -> Motion:
    """The objects of both, in this order."""
    return Motion(
        np.concatenate([first.boxes, second.boxes]),
        np.concatenate([first.velocity, second.velocity]),
        np.concatenate([first.spread, second.spread]),
    )


def advance(motion: Motion, missing: NDArray[np.bool_]) -> Motion:
    """The same objects one frame later. missing (T,): not seen last time, so their size is held: an
    error in its growth would blow a box up while nobody looks."""
    step = motion.velocity.copy()
    step[missing, 2:] = 0
    place, both, speed = motion.spread.T
    noise = _ACCELERATION**2
    spread = [place + 2 * both + speed + noise / 4, both + speed + noise / 2, speed + noise]
    return Motion(motion.boxes + step, motion.velocity, np.stack(spread, axis=1))


def correct(motion: Motion, rows: NDArray[np.int64], corners: Floats) -> Motion:
    """Objects number `rows` (m,) were seen at `corners` (m, 4); the others stay as expected."""
    boxes, velocity, spread = motion.boxes.copy(), motion.velocity.copy(), motion.spread.copy()
    surprise = _centred(corners) - boxes[rows]
    place, both, speed = spread[rows].T
    total = place + _BOX**2
    gain, speed_gain = place / total, both / total
    boxes[rows] += gain[:, None] * surprise
    velocity[rows] += speed_gain[:, None] * surprise
    spread[rows] = np.stack(
        [(1 - gain) * place, (1 - gain) * both, speed - speed_gain * both], axis=1
    )
    return Motion(boxes, velocity, spread)


def _centred(corners: Floats) -> Floats:
    sides = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + sides / 2, sides], axis=1)
