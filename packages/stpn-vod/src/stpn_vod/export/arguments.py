"""What `stpn vod export` takes; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from stpn_vod.predict_config import PolicyName, Resampling


@dataclass(frozen=True)
class ExportArguments:
    """Write a detector as ONNX graphs that onnxruntime runs without torch, checked against torch.

    What is not given of the policy and the frame size is taken from the run, which knows how it was
    evaluated; of a weights file, from the defaults of `stpn vod predict`.
    """

    weights: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="WEIGHTS")]]
    """Weights file, run directory, folder of `stpn vod save`, or hf://owner/name."""
    out: Path
    """Folder for the graphs, their weights and model.json; an earlier export is replaced."""
    format: tuple[Literal["onnx", "torch"], ...] = ("onnx",)
    """onnx for onnxruntime and others, torch for programs of torch.export (.pt2)."""
    size: tuple[str, ...] = ()
    """Padded sizes HxW in multiples of 32, such as 608x1024; by default those of 16:9 and 4:3
    video. `any` writes graphs that take every multiple of 32, which takes minutes."""
    opset: int = 20
    """Version of ONNX's operators, 18 to 23."""
    frames: str = ""
    """Video file, folder of frames or quoted pattern to check the export on, beside random ones; by
    default frames of the data the run was trained on, if they are still there."""
    tolerance: float = 1e-3
    """Largest difference from torch: of maps relative to their largest value, of boxes in pixels,
    of scores."""
    policy: PolicyName | None = None
    """Support frames that the export starts with; whoever runs it may choose others."""
    count: int | None = None
    """Support frames; `window` takes half of them on each side."""
    stride: int | None = None
    """Distance of support frames in `window` and `online`."""
    short_side: int | None = None
    """Frames are resized so that no side is longer than these."""
    long_side: int | None = None
    resampling: Resampling | None = None
    """How frames are resized; see `stpn vod predict --help`."""
