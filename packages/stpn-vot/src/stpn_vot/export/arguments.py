"""What `stpn vot export` takes; light to import."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from stpn_vot.predict_config import PredictConfig
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True)
class ExportArguments:
    """Write a tracker as ONNX graphs that onnxruntime runs without torch, checked against torch."""

    weights: Path
    """Weights file, run directory or hf://owner/name; MixFormer's own checkpoints will do, too."""
    out: Path
    """Folder for the graphs, their weights and model.json; an earlier export is replaced."""
    opset: int = 20
    """Version of ONNX's operators, 18 to 23."""
    frames: str = ""
    """Video file, folder of frames or quoted pattern to check the export on, beside random ones."""
    box: Annotated[str, tyro.conf.arg(metavar="X,Y,W,H")] = ""
    """A target on the first of these frames, in pixels."""
    tolerance: float = 1e-3
    """Largest difference from torch: of maps relative to their largest value, of boxes in sides of
    the search region (on a whole video in root areas of the box), of scores."""
    tracking: TrackingConfig = field(default_factory=lambda: PredictConfig().tracking)
    """Crop sizes, which are fixed by it, and how targets are followed; whoever runs the export may
    choose everything but the sizes anew."""
