"""What is compared: the twin, STPN, and STPN with its prompts switched off."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpn_core.runs import RunDir, load_config
from stpn_core.training import World, choose_device, read_metrics
from stpn_data.index import VideoIndex
from stpn_data.readers import open_dataset
from stpn_data.synthesize import SEVERITY_BINS, severity_bin
from stpn_vis.config import Recipe
from stpn_vis.evaluate import segment_all
from stpn_vis.frame_ap import frame_truth, frames_alone, segment_frames
from stpn_vis.ground_truth import ground_truth
from stpn_vis.model_file import load_trained
from stpn_vis.severity import severities
from stpn_vis.video_ap import Track, video_ap

Numbers = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Arm:
    """One row of the comparison.

    found: over whole videos, best first in each. by_frame: the metric with every frame on its own,
    by severity; each has `frames`, the number of them. whole: the metric over whole videos.
    """

    title: str
    parameters: int  # used at inference
    index: VideoIndex
    severity: Sequence[float]  # of each frame
    found: Sequence[Track]
    by_frame: Mapping[str, Numbers]
    whole: Numbers
    metrics: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]


def evaluate_arms(recipe: Recipe, out: Path) -> list[Arm]:
    """The three arms on the same validation videos; both runs lie in `out`."""
    device = choose_device(recipe.run.device)
    world = World(0, 1, 0, device)
    index = open_dataset(out / "data", "valid")
    severity = [value for video in severities(index, out / "data") for value in video]
    truth, alone = ground_truth(index), frame_truth(index)
    arms = []
    for title, folder, prompts in (
        ("prompt-free twin", "twin", False),
        ("STPN", "stpn", True),
        ("STPN, prompts off", "stpn", False),
    ):
        model = load_trained(out / folder, device).model
        if not prompts:
            model.stpn.predictor = None
        found = segment_all(model, index, recipe.eval, world)
        answers = segment_frames(model, index, recipe.eval)
        by_frame = {}
        for name in SEVERITY_BINS:
            frames = [i for i, value in enumerate(severity) if severity_bin(value) == name]
            chosen = frames_alone(alone, frames)
            if chosen.tracks:
                by_frame[name] = {"frames": len(frames), **video_ap(chosen, answers).numbers}
        arms.append(
            Arm(
                title=title,
                parameters=sum(
                    p.numel() for n, p in model.named_parameters() if not n.startswith("presence.")
                ),
                index=index,
                severity=severity,
                found=found,
                by_frame=by_frame,
                whole=video_ap(truth, found).numbers,
                metrics=read_metrics(out / folder / "metrics.jsonl"),
                config=load_config(RunDir(out / folder)) or dataclasses.asdict(recipe),
            )
        )
    return arms
