"""Train and test one arm of one replicate; everything that was found, as one JSON file."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from stpn_core.runs import RunDir, replace_file
from stpn_core.training import read_metrics
from stpn_data.index import VideoIndex
from stpn_data.readers import open_dataset
from stpn_vod.config import Recipe
from stpn_vod.model_file import load_trained
from stpn_vod.train import train
from study.arms import ARMS, MAIN, SUPPORT_TESTS, Arm
from study.attention import prompt_mass
from study.score import Judge
from study.setting import Replicate
from study.support import EXTRA, OTHER_CLASS, OWN, detect

Record = dict[str, Any]


def result_file(results: Path, arm: str, seed: int) -> Path:
    return results / f"{arm}-seed{seed}.json"


def run(name: str, replicate: Replicate, results: Path) -> int:
    """Train and test an arm, or run the further tests of the main arm, and write the result.

    Returns 0, or what training returned if it was told to stop: then the next call goes on from the
    last checkpoint.
    """
    if name == SUPPORT_TESTS:
        return run_support_tests(ARMS[MAIN], replicate, results)
    return run_arm(ARMS[name], replicate, results)


def run_arm(arm: Arm, replicate: Replicate, results: Path) -> int:
    """Train and test; returns as `run`."""
    replicate.prepare()
    recipe = arm.recipe(replicate.base())
    folder = replicate.folder / arm.name
    done = max(RunDir(folder).steps(), default=0)
    began = _clock()
    code = train(recipe, folder)
    if code:
        return code
    training_ms = _per_item(began, recipe.optim.steps - done)
    index = open_dataset(replicate.data, "val")
    record = {
        "arm": arm.name,
        "seed": replicate.seed,
        "setting": dataclasses.asdict(replicate.setting),
        "config": _portable(recipe),
        "frames": Judge.of(index, replicate.setting.every).frames(),
        **test_arm(arm, recipe, folder, index, replicate),
        "losses": _losses(folder),
        "environment": environment(),
    }
    record["cost"]["training ms per step"] = training_ms
    _write(results, arm.name, record)
    return 0


def run_support_tests(arm: Arm, replicate: Replicate, results: Path) -> int:
    """Test a trained arm, or one that is trained now, with every support of `EXTRA`."""
    replicate.prepare()
    recipe = arm.recipe(replicate.base())
    code = train(recipe, replicate.folder / arm.name)
    if code:
        return code
    model = load_trained(replicate.folder / arm.name, _device()).model
    index = open_dataset(replicate.data, "val")
    judge = Judge.of(index, replicate.setting.every)
    tests = {
        test.name: judge.scores(detect(model, index, recipe.eval, test, replicate.seed))
        for test in EXTRA
    }
    record = {
        "arm": arm.name,
        "seed": replicate.seed,
        "tests": tests,
        "environment": environment(),
    }
    _write(results, SUPPORT_TESTS, record)
    return 0


def test_arm(
    arm: Arm, recipe: Recipe, run: Path, index: VideoIndex, replicate: Replicate
) -> Record:
    """Scores of every test, the learning curve, attention on prompts, parameters and time."""
    setting = replicate.setting
    judge = Judge.of(index, setting.every)
    coarse = Judge.of(index, setting.curve_every)
    sparse = dataclasses.replace(recipe.eval, every=setting.curve_every)
    curve = []
    for step in RunDir(run).steps():
        if step % setting.save_every:
            continue  # saved because the run was stopped there
        model = load_trained(RunDir(run).checkpoint(step), _device()).model
        severity = coarse.scores(detect(model, index, sparse))["severity"]
        curve.append({"step": step, **severity})
    model = load_trained(run, _device()).model
    tests = {}
    began = _clock()
    found = detect(model, index, recipe.eval)
    testing_ms = _per_item(began, int(judge.frames()["all"]))
    tests[OWN.name] = judge.scores(found)
    looks = recipe.model.uses_support and recipe.model.predictor != "static"
    if looks:
        found = detect(model, index, recipe.eval, OTHER_CLASS, replicate.seed)
        tests[OTHER_CLASS.name] = judge.scores(found)
    mass = None
    if model.stpn.predictor is not None:
        mass = prompt_mass(model, index, OWN.config(recipe.eval))
    parameters = sum(
        p.numel() for name, p in model.named_parameters() if not name.startswith("presence.")
    )
    return {
        "tests": tests,
        "curve": curve,
        "attention": mass,
        "cost": {"parameters": parameters, "testing ms per frame": testing_ms},
    }


def environment() -> Record:
    """Machine and versions."""
    known: Record = {
        "machine": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "commit": _commit(),
    }
    return known | {name: version(name) for name in ("torch", "torchvision", "timm", "stpn-vod")}


def _commit() -> str:
    """Of the sources; a copy without a repository says it with STUDY_COMMIT."""
    known = os.environ.get("STUDY_COMMIT", "")
    if known:
        return known
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _write(results: Path, name: str, record: Record) -> None:
    results.mkdir(parents=True, exist_ok=True)
    path = result_file(results, name, record["seed"])
    replace_file(path, (json.dumps(record, indent=1) + "\n").encode())


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _clock() -> float:
    """Seconds: processor time, which other programs on the machine lengthen much less; wall time
    with a GPU."""
    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def _per_item(began: float, items: int) -> float | None:
    """Milliseconds since `began` by the number of items."""
    return 1e3 * (_clock() - began) / items if items > 0 else None


def _portable(recipe: Recipe) -> Record:
    config = dataclasses.asdict(recipe)
    config["init"] = Path(recipe.init).name
    config["data"]["root"] = Path(recipe.data.root).name
    return config


def _losses(run: Path) -> list[Record]:
    rows = [row for row in read_metrics(run / "metrics.jsonl") if "loss" in row]
    return [
        {name: round(value, 5) for name, value in row.items() if name.startswith(("loss", "step"))}
        for row in rows
    ]
