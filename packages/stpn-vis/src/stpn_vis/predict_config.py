"""Settings of prediction; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stpn_core.settings import STRICT


@dataclass(frozen=True)
class PredictConfig:
    """How a video is read and what is written."""

    __pydantic_config__ = STRICT

    policy: Literal["uniform", "window", "online"] = "window"
    """Support frames: spread over the video, on both sides of the frame, or from the past only.
    `window` answers count / 2 x stride frames late and keeps as many frames in memory."""
    count: int = 14
    """Support frames; `window` takes half of them on each side."""
    stride: int = 8
    """Distance of support frames in `window` and `online`."""
    score: float = 0.3
    """Objects are shown on a frame if their class has this score by then."""
    most: int = 20
    """Objects of a frame, best first."""
    short_side: int = 480
    long_side: int = 1333
    cuts: bool = True
    """A cut ends support and objects: what follows is numbered anew."""
    video: bool = True
    """Also write an annotated video."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_frames: int = 0
    """Take only the first so many frames; 0 for all."""
