"""The classes: patterns that differ in their drawing and in nothing a blur leaves behind.

All are drawn at the same spatial period with the same mean and the same contrast. What a wide blur
or an occluder leaves of an object is its outline and its colour, which say nothing of the class.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stpn_data.degrade.point_spread import PointSpread, blur

Field = NDArray[np.floating]

# In the order in which `--classes N` takes them: the most unlike first.
PATTERNS = ("stripes", "checks", "dots", "rings", "zigzag", "rays", "grid", "bricks")

RAYS = 14  # their period is the common one at the edge of the pattern, on average
WIDE, PASSES = 0.55, 3  # Gaussian of the coarse shape in periods, and how often it is taken out
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


def balanced(field: Field, weight: Field, period: float) -> Field:
    """The field with mean 0 around every place and standard deviation 1 overall, weighted.

    This is what makes all classes agree in colour, in contrast and in what a wide blur leaves: a
    drawing that fills its disc with whole and broken periods has a coarse shape of its own, and
    here it is taken out.

    Args:
        field, weight: (H,W); weight 0 where there is no pattern.
        period: of the pattern in pixels.
    """
    around = PointSpread(sigma=WIDE * period)
    density = blur(weight.astype(np.float32), around, edge="constant") + np.float32(1e-3)
    for _ in range(PASSES):
        coarse = blur((field * weight).astype(np.float32), around, edge="constant")
        field = field - coarse / density
    total = float(weight.sum()) + 1e-6
    field = field - (field * weight).sum() / total
    spread = math.sqrt(float((field**2 * weight).sum()) / total) + 1e-6
    return field / spread


def _hexagonal(x: Field, y: Field) -> Field:
    total = np.zeros(np.broadcast_shapes(x.shape, y.shape), dtype=np.float32)
    for turn in (0.0, math.pi / 3, 2 * math.pi / 3):
        total += np.cos(TAU * (math.cos(turn) * x + math.sin(turn) * y))
    return total
