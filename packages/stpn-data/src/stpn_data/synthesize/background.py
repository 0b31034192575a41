"""Backgrounds with the statistics of natural pictures: overlapping leaves of all sizes (a
"dead leaves" image, Lee, Mumford and Huang 2001) with 1/f mottling, in the colours of one landscape.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stpn_data.degrade.point_spread import PointSpread, blur

# Each landscape: a few colours, 0..255. Muted, as landscapes are.
LANDSCAPES = (
    ((62, 78, 44), (92, 108, 60), (48, 58, 40), (120, 118, 82), (84, 74, 56)),  # wood
    ((150, 136, 108), (176, 160, 128), (124, 108, 84), (106, 96, 84), (160, 150, 132)),  # sand
    ((110, 112, 112), (136, 136, 132), (84, 88, 92), (150, 146, 138), (98, 94, 88)),  # stone
    ((96, 118, 132), (124, 142, 150), (74, 96, 112), (140, 150, 146), (88, 104, 100)),  # water
    ((116, 128, 66), (142, 146, 84), (94, 108, 56), (160, 152, 104), (110, 100, 70)),  # meadow
    ((130, 104, 88), (152, 122, 100), (104, 84, 76), (120, 112, 108), (168, 146, 124)),  # brick
)
LEAVES = 220
GROUND = 0.55  # share of a leaf's size that its rounder side has at least


def draw_background(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """A picture (3, height, width), 0..255."""
    side = min(height, width)
    palette = np.array(LANDSCAPES[rng.integers(len(LANDSCAPES))], dtype=np.float32)
    canvas = np.empty((3, height, width), dtype=np.float32)
    canvas[:] = palette[0][:, None, None]
    # Which colour grows where: a smooth map, so that there are regions and not confetti.
    region = _noise(rng, 1, height, width, falloff=1.8)[0]
    # radii follow 1 / r^3 between the two limits: the same amount of structure at every scale
    small, large = 0.03 * side, 0.45 * side
    radii = (small**-2 + rng.random(LEAVES) * (large**-2 - small**-2)) ** -0.5
    for radius in np.sort(radii)[::-1]:
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        place = region[int(y), int(x)] + rng.normal(0, 0.35)
        rank = min(int(len(palette) / (1 + math.exp(-1.7 * place))), len(palette) - 1)
        colour = palette[rank] + rng.normal(0, 3, 3) + rng.normal(0, 9)
        _leaf(canvas, rng, (x, y), float(radius), colour.astype(np.float32))
    mottle = _noise(rng, 4, height, width, falloff=1.0)
    canvas += 12 * mottle[0] + 1.5 * mottle[1:]
    slope = rng.uniform(-20, 20, 2)
    canvas += np.float32(slope[0]) * np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    canvas += np.float32(slope[1]) * np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return np.clip(blur(canvas, PointSpread(sigma=0.5)), 8, 247, dtype=np.float32)


def crop(
    picture: NDArray[np.float32], top: float, left: float, height: int, width: int
) -> NDArray[np.float32]:
    """A window (3, height, width) at a place between pixels, bilinear."""
    row, column = math.floor(top), math.floor(left)
    down, right = np.float32(top - row), np.float32(left - column)
    block = picture[:, row : row + height + 1, column : column + width + 1]
    rows = block[:, :-1] + down * (block[:, 1:] - block[:, :-1])
    return rows[:, :, :-1] + right * (rows[:, :, 1:] - rows[:, :, :-1])


def _leaf(
    canvas: NDArray[np.float32],
    rng: np.random.Generator,
    centre: tuple[float, float],
    radius: float,
    colour: NDArray[np.float32],
) -> None:
    _, height, width = canvas.shape
    x, y = centre
    angle, flat = rng.uniform(0, math.pi), rng.uniform(GROUND, 1.0)
    corner = rng.uniform(1.6, 4.0)
    shade = rng.uniform(-0.12, 0.12, 2)
    top, bottom = max(int(y - 1.3 * radius), 0), min(int(y + 1.3 * radius) + 2, height)
    left, right = max(int(x - 1.3 * radius), 0), min(int(x + 1.3 * radius) + 2, width)
    dx = np.arange(left, right, dtype=np.float32)[None, :] + np.float32(0.5 - x)
    dy = np.arange(top, bottom, dtype=np.float32)[:, None] + np.float32(0.5 - y)
    u = (math.cos(angle) * dx + math.sin(angle) * dy) / radius
    v = (math.cos(angle) * dy - math.sin(angle) * dx) / (radius * flat)
    norm = (np.abs(u) ** corner + np.abs(v) ** corner) ** (1 / corner)
    cover = np.clip((1 - norm) * radius * flat + 0.5, 0, 1)
    lit = colour[:, None, None] * (1 + shade[0] * u + shade[1] * v)
    window = canvas[:, top:bottom, left:right]
    window += cover * (lit - window)


def _noise(
    rng: np.random.Generator, fields: int, height: int, width: int, falloff: float
) -> NDArray[np.float32]:
    """Fields (n, height, width) of unit variance whose amplitude falls as 1 / f^falloff."""
    spectrum = np.fft.rfft2(rng.standard_normal((fields, height, width), dtype=np.float32))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    frequency[0, 0] = np.inf
    spectrum *= frequency**-falloff
    noise = np.fft.irfft2(spectrum, s=(height, width)).astype(np.float32)
    return noise / (noise.std(axis=(1, 2), keepdims=True) + np.float32(1e-6))
