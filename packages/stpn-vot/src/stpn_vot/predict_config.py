"""Settings of prediction; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stpn_core.settings import STRICT, number_faults, refuse
from stpn_vot.tracking_config import TrackingConfig, check_tracking


def _looking_again() -> TrackingConfig:
    return TrackingConfig(redetect=True)


@dataclass(frozen=True)
class PredictConfig:
    """How a video is read, targets are followed, and what is written."""

    __pydantic_config__ = STRICT

    tracking: TrackingConfig = field(default_factory=_looking_again)
    video: bool = True
    """Also write an annotated video."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_frames: int = 0
    """Take only the first so many frames; 0 for all."""


def check_predict(config: PredictConfig) -> None:
    """Raise InputError with a line for every number of `config` that cannot work."""
    check_tracking(config.tracking)
    refuse("prediction", number_faults(config, ["max_frames"], "0 or more", lambda x: x >= 0))
