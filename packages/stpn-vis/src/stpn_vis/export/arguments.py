"""What `stpn vis export` takes; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class ExportArguments:
    """Write a segmenter as ONNX graphs that onnxruntime runs without torch, checked against torch.

    What is not given of the policy and the frame size is taken from the run, which knows how it was
    evaluated; of a weights file, from the defaults of `stpn vis predict`.
    """

    weights: Path
    """Weights file, run directory or hf://owner/name; `stpn vis export WEIGHTS` will do, too."""
    out: Path
    """Folder for the graphs, their weights and model.json; an earlier export is replaced."""
    format: tuple[Literal["onnx", "torch"], ...] = ("onnx",)
    """onnx for onnxruntime and others, torch for programs of torch.export (.pt2)."""
    size: tuple[str, ...] = ()
    """Padded sizes HxW in multiples of 32, such as 480x864; by default those of 16:9 and 4:3
    video."""
    opset: int = 20
    """Version of ONNX's operators, 18 to 23."""
    frames: str = ""
    """Video file, folder of frames or quoted pattern to check the export on, beside random ones; by
    default frames of the data the run was trained on, if they are still there."""
    tolerance: float = 1e-3
    """Largest difference from torch in units of the largest value: of maps, logits, embeddings."""
    policy: Literal["uniform", "window", "online"] | None = None
    """Support frames that the export starts with; whoever runs it may choose others."""
    count: int | None = None
    """Support frames; `window` takes half of them on each side."""
    stride: int | None = None
    """Distance of support frames in `window` and `online`."""
    short_side: int | None = None
    """Frames are resized so that no side is longer than these."""
    long_side: int | None = None
