"""Real footage through the command line: it trains, evaluates, and a tiny detector learns it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from stpn_core.cli import main
from stpn_core.runs import RunDir
from stpn_core.settings import to_json
from stpn_core.testing.runs import lines
from stpn_vod.config import Recipe
from stpn_vod.recipes import synthetic


def evaluated(run: Path, data: Path, out: Path, *flags: str) -> dict[str, float]:
    """Numbers of `stpn vod eval`."""
    command = ["vod", "eval", str(run), "--data", str(data), "--out", str(out)]
    assert main([*command, *flags]) == 0
    return json.loads(out.read_text())["all"]


@pytest.mark.parametrize(
    ("recipe", "data", "classes"), [("own", "vid_own_classes", 2), ("vid_swin_t", "vid_wnid", 30)]
)
def test_a_recipe_trains_and_evaluates(shared, tmp_path, recipe, data, classes):
    """Swin-T from random weights at a small size; classes are those of the data."""
    root, run = shared / "data" / data, tmp_path / "run"
    train = [
        "--data.root", str(root), "--init", "", "--optim.steps", "2", "--optim.batch-size", "1",
        "--data.short-sides", "64", "--data.crop-probability", "0", "--data.workers", "0",
        "--run.precision", "fp32", "--run.device", "cpu", "--eval.short-side", "64",
        "--eval.every", "20", "--eval.count", "2", "--model.train-proposals", "50",
        "--model.test-proposals", "20",
    ]  # fmt: skip
    assert main(["vod", "train", recipe, "--out", str(run), *train]) == 0
    assert [step for step, _ in lines(run)] == [2]
    ((step, ap),) = lines(run, "val/AP")
    assert step == 2
    assert 0 <= ap <= 1
    config = json.loads((run / "config.json").read_text())
    assert config["model"]["num_classes"] == classes
    flags = ["--short-side", "64", "--every", "20", "--count", "2", "--policy", "uniform"]
    numbers = evaluated(run, root, tmp_path / "numbers.json", *flags)
    assert len([name for name in numbers if name.startswith("AP/")]) == classes


def small(data: Path) -> Recipe:
    """Half a million weights, at 96 pixels."""
    recipe = synthetic()
    return dataclasses.replace(
        recipe,
        init="",
        model=dataclasses.replace(
            recipe.model,
            arch={"embed_dim": 16, "depths": (1, 1, 2, 1), "num_heads": (1, 2, 4, 8)},
            drop_path=0.0,
            predictor="attention",
            predictor_options={"num_heads": 4},
            deep=False,
            support_grad=False,
            prompt_aux=0.0,
            num_classes=0,
            fpn_channels=32,
            fc_channels=64,
            rpn_samples=64,
            roi_samples=32,
            train_proposals=40,
            test_proposals=20,
        ),
        data=dataclasses.replace(
            recipe.data, root=str(data), short_sides=(96,), long_side=200, crop_probability=0.0,
            flip=0.0, support_dropout=0.0, degrade=0.0, val_split="", workers=0,
        ),
        optim=dataclasses.replace(
            recipe.optim, lr=1e-3, batch_size=4, accumulate=1, steps=220, warmup_steps=20,
            warmup_ratio=0.01, drop_at=(0.8,), clip_norm=10.0,
        ),
        run=dataclasses.replace(recipe.run, seed=0, device="cpu", save_every=1000, log_every=20),
    )  # fmt: skip


@pytest.mark.slow
def test_a_small_detector_learns_the_frames_it_trains_on(shared, tmp_path):
    """30 clips of cows and a car: 220 steps from random weights, half a minute on one core."""
    data, run = shared / "data" / "vid_wnid", tmp_path / "run"
    (tmp_path / "small.json").write_text(to_json(small(data)))
    assert main(["vod", "train", str(tmp_path / "small.json"), "--out", str(run)]) == 0
    assert RunDir(run).steps() == [220]
    flags = ["--short-side", "96", "--long-side", "200", "--policy", "window", "--count", "4"]
    numbers = evaluated(run, data, tmp_path / "n.json", *flags, "--split", "train", "--every", "2")
    assert numbers["AP50"] > 0.9
    assert numbers["AP/car"] > 0.4
    assert numbers["AP/cattle"] > 0.4
    logged = [loss for _, loss in lines(run)]
    assert logged[-1] < logged[0] / 2
