"""What each verb of `stpn vod` takes; tyro turns these into flags and help texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro

from stpn_core.command import parse_flags
from stpn_vod.config import EvalConfig, Format, Recipe
from stpn_vod.predict_config import PolicyName, PredictConfig, Resampling

T = TypeVar("T")
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class TrainArguments:
    """Train a recipe."""

    out: Path
    """Run directory: checkpoints, configuration and logs go there."""
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    twin: Flag = False
    """Train the matched single-frame twin instead."""
    resume: str = "auto"
    """auto continues what is there, none refuses it, a step number continues from that one."""


@dataclass(frozen=True)
class EvalArguments:
    """Evaluate a detector on a data set."""

    weights: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="WEIGHTS")]]
    """Weights file, run directory, folder of `stpn vod save`, or hf://owner/name."""
    data: Path
    """Folder of the data set."""
    split: str = "val"
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    out: Path | None = None
    """Write the numbers there as JSON, too."""
    by_severity: Flag = False
    """Also AP by the severity of each frame; for data of `stpn data synthesize`."""
    degrade: str = ""
    """Spoil every frame first: KIND or KIND:SEVERITY such as blur:0.7."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    timeout: float = 300.0
    """Seconds after which a rank that hears nothing from the others gives up."""
    eval: Annotated[EvalConfig, tyro.conf.arg(name="")] = field(default_factory=EvalConfig)


@dataclass(frozen=True)
class PredictArguments:
    """Draw boxes on a video."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    weights: Path
    """Weights file, run directory, hf://owner/name, or a folder of `stpn vod save` or `export`."""
    out: Path
    """Folder for detections.jsonl and annotated.mp4."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    config: Annotated[PredictConfig, tyro.conf.arg(name="")] = field(default_factory=PredictConfig)


@dataclass(frozen=True)
class RecipesArguments:
    """List the recipes, or show one completely as JSON, which `stpn vod train` takes, too."""

    name: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME")]] = ""
    twin: Flag = False
    """Show its matched single-frame twin."""


@dataclass(frozen=True)
class DemoArguments:
    """Synthesise degraded videos, train STPN and its twin on them, and report who wins."""

    out: Path = Path("demo")
    """Folder for the data, both runs, report.html and the annotated clip."""
    seed: int = 0
    steps: int = 0
    """Training steps of each; 0 for the recipe's, which take a few minutes on two slow cores."""
    severity: float = 0.0
    """Severity of the degraded frames, up to 1; 0 for the demo's own."""


@dataclass(frozen=True)
class ExplainArguments:
    """Look inside a detector: one HTML page of pictures."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="DATA_OR_VIDEO")]]
    """Folder of a data set, video file, folder of frames, or a quoted pattern of frames."""
    weights: Path
    """Weights file, run directory, folder of `stpn vod save`, or hf://owner/name."""
    out: Path
    """Folder for explain.html."""
    twin: Path | None = None
    """Weights to show beside, such as the single-frame twin's; without it, prompts on and off."""
    split: str = "val"
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    frames: int = 4
    """Frames to show, chosen by chance."""
    pick: tuple[str, ...] = ()
    """Show these frames instead: VIDEO/FILE without its ending, or numbers if there is one video."""
    boxes: int = 2
    """Boxes of a frame to explain: its largest annotated ones, or its surest detections."""
    objects: int = 200
    """Annotated boxes of each speed group in the t-SNE; 0 leaves it out."""
    policy: PolicyName = "window"
    """Support frames: spread over the video, on both sides of the frame, or from the past only."""
    count: int = 14
    """Support frames; `window` takes half of them on each side."""
    stride: int = 8
    """Distance of support frames in `window` and `online`."""
    short_side: int = 600
    long_side: int = 1000
    resampling: Resampling = "antialias"
    """How frames are resized; `cv2` as OpenCV does, for released checkpoints."""
    seed: int = 0
    device: str = "auto"
    """`auto` takes CUDA where there is one."""


def parse(kind: type[T], argv: Sequence[str], verb: str, default: T | None = None) -> T:
    """Read a command line; prints help or a message and exits (code 2) where it is not one."""
    return parse_flags(kind, argv, f"stpn vod {verb}", default)
