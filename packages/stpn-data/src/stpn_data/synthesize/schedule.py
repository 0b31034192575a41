"""Which frames of a video are spoiled, by what and how badly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLEAN = "clean"


@dataclass(frozen=True)
class Spoil:
    """What happens to one frame; `burst` numbers the stretches of a video, clean ones too."""

    kind: str
    severity: float
    burst: int


def draw_schedule(
    rng: np.random.Generator,
    frames: int,
    fraction: float,
    burst: float,
    kinds: tuple[str, ...],
    severity: tuple[float, float],
) -> list[Spoil]:
    """A video cut into stretches, each of them spoiled or clean as a whole.

    A stretch ends after each frame with probability `1 / burst`, and the next one is spoiled with
    probability `fraction`. So a frame d frames away from a spoiled one is clean with probability
    `(1 - fraction) * (1 - (1 - 1 / burst) ** d)`.

    Args:
        frames: how many.
        fraction: share of spoiled frames in the long run; none at 0, all at 1.
        burst: mean length of a stretch in frames, at least 1.
        kinds: one is drawn for each spoiled stretch.
        severity: lowest and highest; one value is drawn for each spoiled stretch.
    """
    schedule: list[Spoil] = []
    stretch = Spoil(CLEAN, 0.0, -1)
    ended = True
    for _ in range(frames):
        if ended:
            stretch = _draw_stretch(rng, stretch.burst + 1, fraction, kinds, severity)
        schedule.append(stretch)
        ended = rng.random() < 1 / burst
    return schedule


def _draw_stretch(
    rng: np.random.Generator,
    number: int,
    fraction: float,
    kinds: tuple[str, ...],
    severity: tuple[float, float],
) -> Spoil:
    spoiled = rng.random() < fraction
    kind = kinds[rng.integers(len(kinds))]
    level = round(float(rng.uniform(*severity)), 4)
    return Spoil(kind, level, number) if spoiled and level > 0 else Spoil(CLEAN, 0.0, number)
