"""What each verb of `stpn vot` takes; tyro turns these into flags and help texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from stpn_core.errors import InputError
from stpn_vot.config import Recipe
from stpn_vot.predict_config import PredictConfig
from stpn_vot.protocol import Protocol
from stpn_vot.tracking_config import TrackingConfig

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclass(frozen=True)
class TrainArguments:
    """Train a recipe."""

    out: Path
    """Run directory: checkpoints, configuration and logs go there."""
    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    twin: Flag = False
    """Train the matched prompt-free twin instead, which is MixFormer."""
    resume: str = "auto"
    """auto continues what is there, none refuses it, a step number continues from that one."""


@dataclass(frozen=True)
class RecipesArguments:
    """List the recipes, or show one completely as JSON, which `stpn vot train` takes, too."""

    name: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME")]] = ""
    twin: Flag = False
    """Show its matched prompt-free twin."""


@dataclass(frozen=True)
class EvalArguments:
    """The numbers of any trackers' result files, or of weights, which track the split first."""

    results: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RESULTS")]]
    """Folder with a folder per sequence, as the got10k toolkit writes them, or a file per sequence;
    several make a table of several trackers."""
    data: Path
    """Folder of GOT-10k, LaSOT, TrackingNet, OTB, or videos of your own."""
    split: str = "val"
    metric: Literal["auto", "got10k", "otb", "all"] = "auto"
    """got10k: AO and success rates. otb: AUC, precision and normalised precision, under each
    convention. auto: otb for LaSOT and OTB, got10k for the rest."""
    weights: Path | None = None
    """Weights file, run directory or hf://owner/name: track the split into RESULTS first, and go on
    there if stopped."""
    protocol: Protocol | None = None
    """What the tracker was trained on, for weights and results that do not say: got10k is its training
    split alone, full is more."""
    sequences: bool = False
    """Also a line for each sequence."""
    classes: Flag = False
    """Also a line for each object class."""
    by_severity: Flag = False
    """Also AO by the severity of frames; for data of `stpn data synthesize`."""
    plots: Path | None = None
    """Folder for the curves as PNG."""
    out: Path | None = None
    """Write the numbers there as JSON, too."""
    int_boxes: Flag = False
    """With --weights: write whole pixels, as MixFormer does; for comparison, it costs overlap."""
    degrade: str = ""
    """With --weights: spoil every frame first: KIND or KIND:SEVERITY such as blur:0.7."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    timeout: float = 300.0
    """Seconds after which a rank that hears nothing from the others gives up."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


@dataclass(frozen=True)
class SubmitArguments:
    """Pack results on GOT-10k's test split for its server, checked; or check a zip that is there."""

    results: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RESULTS")]]
    """Folder that `stpn vot eval --split test --weights W` filled, or a zip to check."""
    out: Path | None = None
    """The zip to write."""
    data: Path | None = None
    """Folder of GOT-10k: also check lengths and given boxes against its test split."""
    protocol: Protocol | None = None
    """What the tracker was trained on, for results that do not say."""


@dataclass(frozen=True)
class PredictArguments:
    """Follow targets through a video."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    weights: Path
    """Weights file, run directory or hf://owner/name; MixFormer's own checkpoints and what
    `stpn vot export` wrote will do, too."""
    out: Path
    """Folder for tracks.jsonl and annotated.mp4."""
    box: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="X,Y,W,H")]
    """A target on the first frame, in pixels; give it once for each target."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    config: Annotated[PredictConfig, tyro.conf.arg(name="")] = field(default_factory=PredictConfig)


@dataclass(frozen=True)
class DemoArguments:
    """Synthesise blurred and occluded targets, train STPN and its twin on them, report who wins."""

    out: Path = Path("demo_vot")
    """Folder for the data, the runs, report.html and the annotated clip."""
    seed: int = 0
    steps: int = 0
    """Training steps of each stage; 0 for the demo's own."""
    severity: float = 0.0
    """Severity of the degraded frames, up to 1; 0 for the demo's own, from 0.3 to 1."""


def read_box(text: str) -> tuple[float, float, float, float]:
    """x, y, w, h from `--box`. Raises InputError if these are not four numbers."""
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--box {text}: wants four numbers x,y,w,h, in pixels") from error
    return (x, y, w, h)
