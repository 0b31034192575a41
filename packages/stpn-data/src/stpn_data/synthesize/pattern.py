"""The classes: patterns that differ in their drawing and in nothing a blur leaves behind.

All are drawn at the same spatial period with the same mean and the same contrast. What a wide blur
or an occluder leaves of an object is its outline and its mean colour, which say nothing of the class.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]

# In the order in which `--classes N` takes them: the most unlike first.
PATTERNS = ("stripes", "checks", "dots", "rings", "zigzag", "rays", "grid", "bricks")

RAYS = 14  # their period is the common one at the edge of the pattern, on average
TAU = np.float32(2 * math.pi)


def pattern(name: str, x: Field, y: Field) -> Field:
    """A drawing between -1 and 1, edges softened, neither centred nor scaled.

    Args:
        name: one of `PATTERNS`.
        x, y: coordinates of each pixel on the body in units of the period, origin at its centre.
    """
    match name:
        case "stripes":
            wave = np.sin(TAU * x)
        case "checks":
            # diagonal frequency: 1 per period
            half = TAU * np.float32(math.sqrt(0.5))
            wave = 1.4 * np.sin(half * x) * np.sin(half * y)
        case "dots":
            wave = 0.7 * _hexagonal(x, y) - 0.25
        case "rings":
            wave = np.cos(TAU * np.hypot(x, y))
        case "zigzag":
            bend = np.abs((y * 0.5) % 1.0 - 0.5)  # slope 1/2, period 2
            wave = np.sin(TAU * (0.75 * x + 2.0 * bend * 0.75))
        case "rays":
            wave = np.sin(RAYS * np.arctan2(y, x))
        case "grid":
            wave = 2.2 * np.maximum(np.cos(TAU * x), np.cos(TAU * y)) - 1.4
        case "bricks":
            row = np.floor(y / 0.8)
            joint = np.cos(TAU * (0.6 * x + 0.5 * (row % 2)))
            wave = 2.2 * np.maximum(joint, np.cos(TAU * y / 0.8)) - 1.5
        case _:
            raise AssertionError(f"no pattern is called {name!r}")
    return np.tanh(2.5 * wave, dtype=np.float32)


def balanced(field: Field, weight: Field) -> Field:
    """The field with weighted mean 0 and weighted standard deviation 1.

    This is what makes all classes agree in mean colour and in contrast.
    """
    total = float(weight.sum()) + 1e-6
    centred = field - np.float32((field * weight).sum() / total)
    spread = math.sqrt(float((centred**2 * weight).sum()) / total) + 1e-6
    return centred / np.float32(spread)


def _hexagonal(x: Field, y: Field) -> Field:
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for turn in (0.0, math.pi / 3, 2 * math.pi / 3):
        total += np.cos(TAU * (math.cos(turn) * x + math.sin(turn) * y))
    return total
