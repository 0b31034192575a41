"""An evaluation sweep: the same videos under each kind of degradation at each severity."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stpn_data.degrade.apply import KINDS, degrade
from stpn_data.degrade.frames import FramesT, as_clip, checked_severity, like
from stpn_data.errors import DataError

CLEAN = "clean"
PER_FRAME = ("motion", "boxes", "targets")  # options with one row per frame of the clip


@dataclass(frozen=True)
class Condition:
    """One column of a robustness table. `kind` is one of `KINDS`, or "clean" at severity 0."""

    kind: str
    severity: float
    seed: int = 0

    @property
    def name(self) -> str:
        return CLEAN if self.kind == CLEAN else f"{self.kind} {self.severity:.2f}"

    def __call__(self, frames: FramesT, video: str, start: int = 0, **options: Any) -> FramesT:
        """Frames (T,3,H,W) or (3,H,W) of `video`, of which the first is frame number `start`.

        What a frame becomes depends on the seed, the video's name and the frame's number only, so a
        stream that comes frame by frame and a whole clip get the same pixels, on any rank.
        `options` go to the degradation; `motion`, `boxes` and `targets` have one row per frame.
        """
        clip = as_clip(frames)
        if self.kind == CLEAN:
            return like(clip.copy(), frames)
        result = np.empty_like(clip)
        for i, frame in enumerate(clip):
            own = {
                name: np.asarray(value)[i] if name in PER_FRAME else value
                for name, value in options.items()
            }
            # one direction of motion and one set of occluders per video
            whole = self.kind in ("blur", "occlusion")
            rng = self._rng(video) if whole else self._rng(video, start + i)
            if self.kind == "occlusion":
                own["start"] = start + i
            result[i] = degrade(frame, self.kind, self.severity, rng, **own)
        return like(result, frames)

    def _rng(self, *place: object) -> np.random.Generator:
        text = "/".join(map(str, (self.seed, self.kind, *place)))
        return np.random.default_rng(
            int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
        )


def parse_condition(text: str) -> Condition | None:
    """`blur:0.7`, or `blur` for severity 1, as a command line has it; None for an empty text.

    Raises DataError for an unknown kind or a severity outside 0..1.
    """
    if not text:
        return None
    kind, _, amount = text.partition(":")
    try:
        severity = float(amount or 1)
    except ValueError:
        severity = -1.0
    if kind not in KINDS or not 0 <= severity <= 1:
        raise DataError(
            f"{text}: expected KIND or KIND:SEVERITY with a severity from 0 to 1 and one of "
            f"{', '.join(KINDS)}"
        )
    return Condition(kind, severity)


def sweep(
    kinds: Sequence[str] = KINDS,
    severities: Sequence[float] = (0.25, 0.5, 0.75, 1.0),
    seed: int = 0,
) -> list[Condition]:
    """The clean condition, then every kind at every severity above 0.

    Raises DataError for an unknown kind or a severity outside 0..1.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise DataError(f"no degradation is called {unknown[0]!r}; there are {', '.join(KINDS)}")
    levels = [checked_severity(severity) for severity in severities]
    spoiled = [Condition(kind, level, seed) for kind in kinds for level in levels if level > 0]
    return [Condition(CLEAN, 0.0, seed), *spoiled]
