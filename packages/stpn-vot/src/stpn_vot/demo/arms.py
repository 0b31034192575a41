"""What is compared: the twin, STPN, STPN with its prompts switched off, and trackers of no learning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stpn_core.runs import RunDir, load_config
from stpn_core.training import EvaluationStopped, World, choose_device, read_metrics
from stpn_data.readers import open_dataset
from stpn_vot.config import Recipe
from stpn_vot.demo.opencv import opencv_follow, opencv_trackers
from stpn_vot.metrics.got10k import Got10k, Tracked, got10k
from stpn_vot.metrics.ground_truth import read_ground_truth
from stpn_vot.metrics.result_files import box_files, read_results
from stpn_vot.model_file import load_trained
from stpn_vot.severity import got10k_by_severity, severities
from stpn_vot.still_box import STILL, still_boxes
from stpn_vot.track_split import SplitSettings, track_split, write_sequence

TWIN, STPN, PROMPTS_OFF = "prompt-free twin", "STPN", "STPN, prompts off"
TRAINED = {TWIN: "twin", STPN: "stpn", PROMPTS_OFF: "stpn"}  # run directory of each
SPLIT = "val"


@dataclass(frozen=True)
class Training:
    """What is known of a tracker that was trained here. parameters: those used at inference."""

    parameters: int
    metrics: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Arm:
    """One row of the comparison: its boxes by name of the sequence, its numbers by severity of the
    frames and over all of them, and how it was trained, None for what learns nothing."""

    title: str
    tracked: Mapping[str, Tracked]
    by_severity: Mapping[str, Got10k]
    whole: Got10k
    training: Training | None


def track_all(recipe: Recipe, out: Path, stop: Callable[[], bool]) -> dict[str, Path]:
    """Result files of each tracker on the validation videos, in folders of `out`, by title; what is
    there is not done again. Raises EvaluationStopped when `stop` says yes."""
    device = choose_device(recipe.run.device)
    world = World(0, 1, 0, device)
    index = open_dataset(out / "data", SPLIT)
    folders = {}
    for title, run in TRAINED.items():
        folders[title] = folder = _folder(out, title)
        tracker = load_trained(out / run, device)
        config = dataclasses.replace(recipe.eval, prompts=title != PROMPTS_OFF)
        track_split(
            tracker, index, folder, SplitSettings(config), world,
            protocol=tracker.protocol, stop=stop,
        )  # fmt: skip
    for title, make in opencv_trackers().items():
        folders[title] = folder = _folder(out, title)
        if all(box_files(folder, name) for name in index.video_names):
            continue
        for target, way in opencv_follow(make, index, stop):
            write_sequence(folder, target.name, way)
        if stop():
            raise EvaluationStopped
    return folders


def measure(recipe: Recipe, out: Path, folders: Mapping[str, Path]) -> list[Arm]:
    """The arms of these result files, the trained ones first, and a box that never moves."""
    truth = read_ground_truth(out / "data", SPLIT)
    lengths = {name: len(one.boxes) for name, one in truth.sequences.items()}
    severity = severities(out / "data", lengths)
    tracked = {title: read_results(folder, truth) for title, folder in folders.items()}
    tracked[STILL] = still_boxes(truth)
    return [
        Arm(
            title=title,
            tracked=rows,
            by_severity=got10k_by_severity(rows, severity),
            whole=got10k(rows),
            training=_training(out / TRAINED[title], recipe, title) if title in TRAINED else None,
        )
        for title, rows in tracked.items()
    ]


def _folder(out: Path, title: str) -> Path:
    return out / "results" / title.replace(",", "").replace(" ", "_")


def _training(run: Path, recipe: Recipe, title: str) -> Training:
    model = load_trained(run).model
    unused = ("presence.", "predictor.") if title == PROMPTS_OFF else ("presence.",)
    return Training(
        parameters=sum(p.numel() for n, p in model.named_parameters() if not n.startswith(unused)),
        metrics=read_metrics(run / "metrics.jsonl"),
        config=load_config(RunDir(run)) or dataclasses.asdict(recipe),
    )
