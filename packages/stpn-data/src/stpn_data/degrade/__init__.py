"""What spoils a video frame: blur, defocus, occluders, noise, darkness, compression.

Every degradation takes uint8 frames, (T,3,H,W) or (3,H,W), a severity from 0 to 1 and an explicit
`numpy.random.Generator`, and returns frames of the same shape and type; nothing else changes, so
boxes stay as they are. Severity 0 returns the frames bit for bit. Torch tensors on the CPU and
numpy arrays are both taken; the work is done in numpy, so that one seed gives the same bits whatever
the number of threads.
"""

from __future__ import annotations

from stpn_data.degrade.apply import KINDS, degrade
from stpn_data.degrade.augment import RandomDegradation, random_degradation
from stpn_data.degrade.codecs import compress
from stpn_data.degrade.conditions import Condition, parse_condition, sweep
from stpn_data.degrade.focus import defocus
from stpn_data.degrade.motion import motion_blur, object_motion
from stpn_data.degrade.occluders import occlude
from stpn_data.degrade.sensor import low_light, noise

__all__ = [
    "KINDS",
    "Condition",
    "RandomDegradation",
    "compress",
    "defocus",
    "degrade",
    "low_light",
    "motion_blur",
    "noise",
    "object_motion",
    "occlude",
    "parse_condition",
    "random_degradation",
    "sweep",
]
