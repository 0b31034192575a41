"""Tracking with an exported model from the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from stpn_core.command import parse_flags
from stpn_core.export.sessions import providers_for
from stpn_data.crop_axes import Box
from stpn_vot.arguments import read_box
from stpn_vot.predict_config import PredictConfig
from stpn_vot.runner.model import open_exported
from stpn_vot.runner.predict import predict
from stpn_vot.track_files import PredictSummary


@dataclass(frozen=True)
class RunnerArguments:
    """Follow targets through a video with an exported model; needs onnxruntime, not torch.

    Settings left at their defaults are those the model was exported with.
    """

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    model: Path
    """Folder that `stpn vot export` wrote."""
    out: Path
    """Folder for tracks.jsonl and annotated.mp4."""
    box: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="X,Y,W,H")]
    """A target on the first frame, in pixels; give it once for each target."""
    device: str = "auto"
    """cpu, cuda, or auto for CUDA where this onnxruntime has it."""
    config: Annotated[PredictConfig, tyro.conf.arg(name="")] = field(default_factory=PredictConfig)


def main(argv: Sequence[str]) -> int:
    """`python -m stpn_vot.runner INPUT --model DIR --box x,y,w,h --out OUT`."""
    a = parse_flags(RunnerArguments, argv, "python -m stpn_vot.runner")
    boxes = [read_box(text) for text in a.box]
    return run(a.input, boxes, a.model, a.out, a.config, a.device)


def run(
    source: str, boxes: Sequence[Box], folder: Path, out: Path, config: PredictConfig, device: str
) -> int:
    """Track, and say what was done."""
    model = open_exported(folder, providers=providers_for(device))
    return told(predict(model, source, boxes, out, config), out)


def told(summary: PredictSummary, out: Path) -> int:
    """Print a summary; returns its exit code."""
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    state = "stopped early" if summary.exit_code else f"video {summary.status}"
    lost = f", {summary.lost} lost at the end" if summary.lost else ""
    print(f"{summary.frames} frames ({state}), {summary.targets} targets{lost} -> {out}")
    return summary.exit_code
