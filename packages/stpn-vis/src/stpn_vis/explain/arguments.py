"""What `stpn vis explain` takes; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from stpn_vis.config import Format


@dataclass(frozen=True)
class ExplainArguments:
    """Look inside a segmenter on one video: one HTML page of pictures."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="DATA_OR_VIDEO")]]
    """Folder of a data set, video file, folder of frames, or a quoted pattern of frames."""
    weights: Path
    """Weights file, run directory, folder of `stpn vis save`, or hf://owner/name."""
    out: Path
    """Folder for explain.html."""
    twin: Path | None = None
    """Weights to show beside, such as the prompt-free twin's; without it, prompts on and off."""
    split: str = "valid"
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    video: str = ""
    """Name of the data set's video; by default one drawn by chance."""
    frames: int = 4
    """Frames to show, spread over those that are followed."""
    pick: tuple[int, ...] = ()
    """Show these frames instead, counted from 0."""
    most: int = 6
    """Objects to follow, best first."""
    max_frames: int = 100
    """Follow only the first so many frames; 0 for all."""
    policy: Literal["uniform", "window", "online"] = "window"
    """Support frames: spread over the video, on both sides of the frame, or from the past only."""
    count: int = 14
    """Support frames; `window` takes half of them on each side."""
    stride: int = 8
    """Distance of support frames in `window` and `online`."""
    short_side: int = 480
    long_side: int = 1333
    seed: int = 0
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
