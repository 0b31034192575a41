"""Defocus: every point of light becomes a soft disc."""

from __future__ import annotations

import numpy as np

from stpn_data.degrade.frames import (
    FramesT,
    as_clip,
    checked_severity,
    like,
    to_uint8,
    unchanged,
)
from stpn_data.degrade.point_spread import PointSpread, blur

RADIUS = 0.025  # of the short side, at severity 1, where no radius is given


def defocus(
    frames: FramesT,
    severity: float,
    rng: np.random.Generator,
    *,
    radius: float | None = None,
) -> FramesT:
    """Blur by a disc of `severity * radius` pixels with a soft edge.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W).
        severity: 0 (identity) to 1.
        rng: not drawn from; taken so that all degradations are called alike.
        radius: pixels at severity 1; one fortieth of the short side if None.
    """
    clip = as_clip(frames)
    if checked_severity(severity) == 0:
        return unchanged(frames)
    extent = severity * (RADIUS * min(clip.shape[-2:]) if radius is None else radius)
    # A hard disc lets fine patterns through again with their contrast inverted; a lens does not.
    spread = PointSpread(disc=extent, sigma=0.35 * extent)
    result = np.empty_like(clip)
    for t, frame in enumerate(clip):
        result[t] = to_uint8(blur(frame.astype(np.float32), spread))
    return like(result, frames)
