"""What `stpn vot explain` takes; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from stpn_vot.predict_config import PredictConfig
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True)
class ExplainArguments:
    """Look inside a tracker on one target: one HTML page."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    box: Annotated[str, tyro.conf.arg(metavar="X,Y,W,H")]
    """The target on the first frame, in pixels."""
    weights: Path
    """Weights file, run directory or hf://owner/name; MixFormer's own checkpoints will do, too."""
    out: Path
    """Folder for explain.html."""
    frames: int = 3
    """Frames to look at closely, spread over those that are tracked."""
    pick: tuple[int, ...] = ()
    """Look at these frames instead; the first one tracked is number 1."""
    max_frames: int = 300
    """Take only the first so many frames; 0 for all."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    tracking: TrackingConfig = field(default_factory=lambda: PredictConfig().tracking)
