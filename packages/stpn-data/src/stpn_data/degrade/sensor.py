"""What a sensor adds: noise, and what it does in the dark."""

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

READ_NOISE = 25.0  # levels of 255 at severity 1, whatever the brightness
SHOT_NOISE = 50.0  # more levels at white, growing with the square root of brightness
DARKEST = 0.25  # share of the light that is left at severity 1
SMOOTHING = 0.008  # of the short side: standard deviation of the camera's own noise reduction


def noise(frames: FramesT, severity: float, rng: np.random.Generator) -> FramesT:
    """Read noise and shot noise, independent per frame, pixel and colour.

    The standard deviation at severity 1 is 25 levels at black and 56 at white.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W).
        severity: 0 (identity) to 1, a factor on the standard deviation.
        rng: draws the noise.
    """
    clip = as_clip(frames)
    if checked_severity(severity) == 0:
        return unchanged(frames)
    result = np.empty_like(clip)
    for t, frame in enumerate(clip):
        result[t] = to_uint8(_noisy(frame.astype(np.float32), severity, rng))
    return like(result, frames)


def low_light(
    frames: FramesT,
    severity: float,
    rng: np.random.Generator,
    *,
    smoothing: float | None = None,
) -> FramesT:
    """Less light, hence relatively more noise, then the noise reduction that cameras apply.

    At severity 1 a quarter of the light is left and the noise reduction wipes out fine detail.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W).
        severity: 0 (identity) to 1.
        rng: draws the noise.
        smoothing: standard deviation of the noise reduction in pixels at severity 1; 0.008 of the
            short side if None.
    """
    clip = as_clip(frames)
    if checked_severity(severity) == 0:
        return unchanged(frames)
    gain = 1 - (1 - DARKEST) * severity
    sigma = severity * (SMOOTHING * min(clip.shape[-2:]) if smoothing is None else smoothing)
    result = np.empty_like(clip)
    for t, frame in enumerate(clip):
        dark = _noisy(frame.astype(np.float32) * gain, severity / 2, rng)
        smooth = blur(dark, PointSpread(sigma=sigma))
        # what the reduction leaves behind
        grain = rng.standard_normal(frame.shape, dtype=np.float32) * (3 * severity)
        result[t] = to_uint8(smooth + grain)
    return like(result, frames)


def _noisy(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    strength: float,
    rng: np.random.Generator,
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    variance = READ_NOISE**2 + (SHOT_NOISE**2 / 255) * values
    sigma = np.sqrt(variance, dtype=np.float32) * np.float32(strength)
    sigma *= rng.standard_normal(values.shape, dtype=np.float32)
    sigma += values
    return sigma
