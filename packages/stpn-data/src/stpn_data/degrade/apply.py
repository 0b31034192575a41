"""One entrance for all degradations, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stpn_data.degrade.codecs import compress
from stpn_data.degrade.focus import defocus
from stpn_data.degrade.frames import FramesT, checked_severity, unchanged
from stpn_data.degrade.motion import motion_blur
from stpn_data.degrade.occluders import occlude
from stpn_data.degrade.sensor import low_light, noise
from stpn_data.errors import DataError

KINDS = ("blur", "defocus", "occlusion", "noise", "low_light", "compression")


def degrade(
    frames: FramesT,
    kind: str | Sequence[str],
    severity: float,
    rng: np.random.Generator,
    **options: Any,
) -> FramesT:
    """Frames spoiled by one kind of degradation, or by several in the order given.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W), torch (CPU) or numpy.
        kind: one of `KINDS`, or a sequence of them.
        severity: 0 (identity, bit for bit) to 1.
        rng: the only source of chance.
        options: passed on to the degradation; allowed with a single kind only.

    Raises DataError for an unknown kind or a severity outside 0..1.
    """
    kinds = (kind,) if isinstance(kind, str) else tuple(kind)
    if options and len(kinds) != 1:
        raise DataError(f"options {sorted(options)} need one kind, not {list(kinds)}")
    checked_severity(severity)
    result = unchanged(frames)
    for name in kinds:
        match name:
            case "blur":
                result = motion_blur(result, severity, rng, **options)
            case "defocus":
                result = defocus(result, severity, rng, **options)
            case "occlusion":
                result = occlude(result, severity, rng, **options)
            case "noise":
                result = noise(result, severity, rng, **options)
            case "low_light":
                result = low_light(result, severity, rng, **options)
            case "compression":
                result = compress(result, severity, rng, **options)
            case _:
                raise DataError(f"no degradation is called {name!r}; there are {', '.join(KINDS)}")
    return result
