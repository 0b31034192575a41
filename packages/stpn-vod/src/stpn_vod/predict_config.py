"""Settings of prediction; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stpn_data.fit import Resampling as Resampling
from stpn_vod.link_config import LinkConfig

PolicyName = Literal["uniform", "window", "online"]


@dataclass(frozen=True)
class PredictConfig:
    """How a video is read and what is written."""

    policy: PolicyName = "window"
    """Support frames: spread over the video, on both sides of the frame, or from the past only.
    `window` answers count / 2 x stride frames late and keeps as many frames in memory."""
    count: int = 14
    """Support frames; `window` takes half of them on each side."""
    stride: int = 8
    """Distance of support frames in `window` and `online`."""
    score: float = 0.5
    """Boxes with a lower score are neither written nor drawn, nor do they start a track."""
    short_side: int = 600
    long_side: int = 1000
    resampling: Resampling = "antialias"
    """How frames are resized: with a filter that shrinks without aliasing, or as OpenCV does, on
    which the released numbers rest."""
    cuts: bool = True
    """Do not let frames before a cut support frames after it."""
    video: bool = True
    """Also write an annotated video."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_frames: int = 0
    """Take only the first so many frames; 0 for all."""
    tracks: bool = False
    """Number the objects, the same object by the same number on every frame."""
    link: LinkConfig = field(default_factory=LinkConfig)
    """How tracks are made of boxes."""
