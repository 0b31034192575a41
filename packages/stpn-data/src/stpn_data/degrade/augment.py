"""Degradation as training augmentation: spoil some frames of a clip and leave the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stpn_data.degrade.apply import KINDS, degrade
from stpn_data.degrade.frames import FramesT, as_clip, checked_severity, like, unchanged
from stpn_data.errors import DataError


@dataclass(frozen=True)
class RandomDegradation:
    """Callable on a clip: `(frames uint8 (T,3,H,W), rng) -> frames`. Pickles; holds no state."""

    severity: float
    kinds: tuple[str, ...]
    clips: float
    frames: float

    def __call__(self, frames: FramesT, rng: np.random.Generator) -> FramesT:
        clip = as_clip(frames)
        if rng.random() >= self.clips:
            return unchanged(frames)
        kind = self.kinds[rng.integers(len(self.kinds))]
        severity = self.severity * (1 - rng.random())  # in (0, severity]
        spoiled = rng.random(len(clip)) < self.frames
        if not spoiled.any():
            return unchanged(frames)
        result = clip.copy()
        result[spoiled] = degrade(clip[spoiled], kind, severity, rng)
        return like(result, frames)


def random_degradation(
    severity: float = 1.0,
    *,
    kinds: Sequence[str] = KINDS,
    clips: float = 0.5,
    frames: float = 0.5,
) -> RandomDegradation:
    """Augmentation that spoils a clip by one kind at a severity drawn from 0 to `severity`.

    Args:
        severity: the worst severity that is drawn.
        kinds: those to draw from.
        clips: probability that a clip is touched at all.
        frames: probability that a frame of such a clip is spoiled; below 1 neighbours stay clean,
            so that there is something to gain from them. 1 spoils the whole clip alike.

    Raises DataError for an unknown kind or a number outside 0..1.
    """
    checked_severity(severity)
    for name, value in (("clips", clips), ("frames", frames)):
        if not 0.0 <= value <= 1.0:
            raise DataError(f"{name} is a probability from 0 to 1, not {value}")
    if not kinds or not set(kinds) <= set(KINDS):
        raise DataError(f"kinds are some of {', '.join(KINDS)}, not {list(kinds)}")
    return RandomDegradation(severity, tuple(kinds), clips, frames)
