"""What each verb of `stpn vot` takes; tyro turns these into flags and help texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from stpn_core.errors import InputError
from stpn_vot.config import Recipe
from stpn_vot.predict_config import PredictConfig

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
    """GOT-10k's numbers of any tracker's result files."""

    results: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="RESULTS")]]
    """Folder with a folder per sequence, as the got10k toolkit writes them."""
    data: Path
    """Folder of GOT-10k."""
    split: str = "val"
    sequences: bool = False
    """Also a line for each sequence."""
    out: Path | None = None
    """Write the numbers there as JSON, too."""


@dataclass(frozen=True)
class PredictArguments:
    """Follow targets through a video."""

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    weights: Path
    """Weights file or run directory; MixFormer's own checkpoints will do, too."""
    out: Path
    """Folder for tracks.jsonl and annotated.mp4."""
    box: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="X,Y,W,H")]
    """A target on the first frame, in pixels; give it once for each target."""
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    config: Annotated[PredictConfig, tyro.conf.arg(name="")] = field(default_factory=PredictConfig)


def read_box(text: str) -> tuple[float, float, float, float]:
    """x, y, w, h from `--box`. Raises InputError if these are not four numbers."""
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--box {text}: wants four numbers x,y,w,h, in pixels") from error
    return (x, y, w, h)
