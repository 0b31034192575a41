"""Prediction with an exported model from the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from stpn_core.command import parse_flags
from stpn_core.export.sessions import providers_for
from stpn_vod.config_checks import check_predict
from stpn_vod.predict_config import PredictConfig
from stpn_vod.runner.model import open_exported
from stpn_vod.runner.predict import predict


@dataclass(frozen=True)
class RunnerArguments:
    """Draw boxes on a video with an exported model; needs onnxruntime, not torch.

    Settings left at their defaults are those the model was exported with.
    """

    input: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="INPUT")]]
    """Video file, folder of frames, or a quoted pattern such as 'walk/*.jpg'."""
    model: Path
    """Folder that `stpn vod export` wrote."""
    out: Path
    """Folder for detections.jsonl and annotated.mp4."""
    device: str = "auto"
    """cpu, cuda, or auto for CUDA where this onnxruntime has it."""
    config: Annotated[PredictConfig, tyro.conf.arg(name="")] = field(default_factory=PredictConfig)


def main(argv: Sequence[str]) -> int:
    """`python -m stpn_vod.runner INPUT --model DIR --out OUT`."""
    a = parse_flags(RunnerArguments, argv, "python -m stpn_vod.runner")
    return run(a.input, a.model, a.out, a.config, a.device)


def run(source: str, folder: Path, out: Path, config: PredictConfig, device: str) -> int:
    """Predict, and say what was done."""
    check_predict(config)
    model = open_exported(folder, providers=providers_for(device))
    summary = predict(model, source, out, config)
    for problem in summary.problems:
        print(f"warning: {problem}", file=sys.stderr)
    for size, larger in sorted(model.enlarged.items()):
        print(
            f"note: frames of {size} padded pixels ran in graphs of {larger}: boxes differ a little "
            f"from the detector's own; export with --size {size} for the same ones",
            file=sys.stderr,
        )
    state = "stopped early" if summary.exit_code else f"video {summary.status}"
    print(f"{summary.frames} frames ({state}) -> {out}")
    return summary.exit_code
