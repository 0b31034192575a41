"""What `stpn vod app` takes; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from stpn_vod.predict_config import PolicyName, Resampling

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class AppArguments:
    """Serve a local page where one drops a clip and watches boxes with and without prompts.

    What is not given of the policy and the frame size is taken from the run, which knows how it was
    evaluated; of a weights file, from the defaults of `stpn vod predict`.
    """

    weights: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="WEIGHTS")]] = None
    """Weights file, run directory, folder of `stpn vod save`, or hf://owner/name."""
    twin: Path | None = None
    """Weights of another detector to show beside it, such as the single-frame twin."""
    port: int = 0
    """0 takes a free one."""
    open: Flag = False
    """Also open the page in a browser."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    max_upload: int = 1024
    """Largest clip in megabytes."""
    policy: PolicyName | None = None
    """Support frames the page starts with; each clip may have others."""
    count: int | None = None
    """Support frames; `window` takes half of them on each side."""
    stride: int | None = None
    """Distance of support frames in `window` and `online`."""
    short_side: int | None = None
    """Frames are resized to this short side, unless the long side would be exceeded."""
    long_side: int | None = None
    resampling: Resampling | None = None
    """How frames are resized; `cv2` as OpenCV does, for the released checkpoints."""
    score: float = 0.5
    """Where the page's slider starts."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
