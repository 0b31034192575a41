"""Training, resuming, evaluating and predicting on a GPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stpn_core.runs import RunDir
from stpn_core.testing.runs import lines
from stpn_core.training import World
from stpn_data.readers import open_dataset
from stpn_vod.evaluate import detect_all
from stpn_vod.model_file import load_trained
from stpn_vod.predict import predict
from stpn_vod.predict_config import PredictConfig
from stpn_vod.train import train

from .conftest import tiny_recipe


def exercise(shapes: Path, out: Path, device: str, precision: str) -> None:
    recipe = tiny_recipe(shapes, steps=2, ema=0.9)
    run = dataclasses.replace(recipe.run, device=device, precision=precision)
    first = dataclasses.replace(recipe, run=run)
    assert train(first, out) == 0
    more = dataclasses.replace(first, optim=dataclasses.replace(first.optim, steps=4))
    assert train(more, out) == 0
    assert RunDir(out).steps() == [2, 4]
    assert [step for step, loss in lines(out) if loss is not None] == [1, 2, 3, 4]

    index = open_dataset(shapes, "val")
    here, there = load_trained(out), load_trained(out, device)
    found = [
        detect_all(one.model, index, recipe.eval, World(0, 1, 0, torch.device(place)))
        for one, place in ((here, "cpu"), (there, device))
    ]
    top = [
        {int(i): rows.scores[rows.frames == i].max() for i in set(rows.frames)} for rows in found
    ]
    assert top[1] == pytest.approx(top[0], abs=1e-3)

    video = sorted((shapes / "Data" / "VID" / "val").iterdir())[0]
    config = PredictConfig(short_side=64, long_side=64, stride=2, precision=precision, score=0.0)
    for policy in ("window", "online", "uniform"):
        config = dataclasses.replace(config, policy=policy)
        assert predict(there, video, out / policy, config).frames == 8


def test_what_is_asked_of_a_gpu_holds_on_a_cpu(shapes, tmp_path):
    """Keeps the test below alive where there is no GPU."""
    exercise(shapes, tmp_path, "cpu", "bf16")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_trains_resumes_evaluates_and_predicts(shapes, tmp_path, precision):
    exercise(shapes, tmp_path, "cuda", precision)
