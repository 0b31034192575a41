"""What each verb of `stpn vis` takes; tyro turns these into flags and help texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import tyro

from stpn_core.command import parse_flags
from stpn_vis.config import EvalConfig, Format, Recipe
from stpn_vis.predict_config import PredictConfig

T = TypeVar("T")
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class TrainArguments:
    """Train a recipe."""

    out: Path
    """Run directory: checkpoints, configuration and logs go there."""
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    twin: Flag = False
    """Train the matched prompt-free twin instead."""
    resume: str = "auto"
    """auto continues what is there, none refuses it, a step number continues from that one."""


@dataclass(frozen=True)
class EvalArguments:
    """Evaluate a segmenter on a data set with annotations."""

    weights: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="WEIGHTS")]]
    """Weights file, run directory, folder of `stpn vis save`, or hf://owner/name."""
    data: Path
    """Folder of the data set."""
    split: str = "valid"
    """`train[90%:]` is the tenth of the training videos that `train[:90%]` leaves out."""
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    out: Path | None = None
    """Write the numbers there as JSON, too."""
    by_severity: Flag = False
    """Also AP by the severity of frames; for data of `stpn data synthesize`."""
    degrade: str = ""
    """Spoil every frame first: KIND or KIND:SEVERITY such as blur:0.7."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    timeout: float = 300.0
    """Seconds after which a rank that hears nothing from the others gives up."""
    eval: Annotated[EvalConfig, tyro.conf.arg(name="")] = field(default_factory=EvalConfig)


@dataclass(frozen=True)
class ExportWeightsArguments:
    """Write a segmenter's weights under the names of other code; prompts have no place there."""

    weights: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="WEIGHTS")]]
    """Weights file, run directory or hf://owner/name; another project's checkpoint will do, too."""
    out: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="OUT")]]
    """A file *.pth for detectron2, a folder for Transformers."""
    to: Literal["detectron2", "transformers"]
    """detectron2: Mask2Former, MinVIS. transformers: Mask2FormerForUniversalSegmentation."""


@dataclass(frozen=True)
class PredictArguments:
    """Draw masks on a video."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    weights: Path
    """Weights file, run directory, hf://owner/name, or a folder of `stpn vis save` or `export`."""
    out: Path
    """Folder for instances.jsonl, results.json and annotated.mp4."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    config: Annotated[PredictConfig, tyro.conf.arg(name="")] = field(default_factory=PredictConfig)


@dataclass(frozen=True)
class SubmitArguments:
    """Write results for a benchmark's server, checked; or check some that are there."""

    data: Path
    """Folder of the data set."""
    weights: tyro.conf.Positional[Annotated[Path | None, tyro.conf.arg(metavar="WEIGHTS")]] = None
    """Weights file, run directory, folder of `stpn vis save`, or hf://owner/name."""
    check: Path | None = None
    """Only check this zip or results.json."""
    split: str = "valid"
    format: Format = "auto"
    """Layout; `auto` looks at the folder."""
    out: Path = Path("results.zip")
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    timeout: float = 300.0
    """Seconds after which a rank that hears nothing from the others gives up."""
    eval: Annotated[EvalConfig, tyro.conf.arg(name="")] = field(default_factory=EvalConfig)


@dataclass(frozen=True)
class RecipesArguments:
    """List the recipes, or show one completely as JSON, which `stpn vis train` takes, too."""

    name: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME")]] = ""
    twin: Flag = False
    """Show its matched prompt-free twin."""


@dataclass(frozen=True)
class DemoArguments:
    """Synthesise occluded look-alikes, train STPN and its twin on them, and report who wins."""

    out: Path = Path("demo_vis")
    """Folder for the data, both runs and report.html."""
    seed: int = 0
    steps: int = 0
    """Training steps of each; 0 for the demo's own."""
    severity: float = 0.0
    """Severity of the degraded frames, up to 1; 0 for the demo's own."""


def parse(kind: type[T], argv: Sequence[str], verb: str, default: T | None = None) -> T:
    """Read a command line; prints help or a message and exits (code 2) where it is not one."""
    return parse_flags(kind, argv, f"stpn vis {verb}", default)
