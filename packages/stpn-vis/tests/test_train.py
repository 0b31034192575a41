from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stpn_core.command import replace_in
from stpn_core.errors import InputError
from stpn_core.runs import RunDir
from stpn_core.testing.runs import lines
from stpn_core.testing.trainer import TrainedTask, TrainerConformance
from stpn_vis import evaluate
from stpn_vis import train as train_module
from stpn_vis.model_file import load_trained
from stpn_vis.train import train

from .conftest import tiny_recipe


class TestTrainer(TrainerConformance):
    @pytest.fixture
    def tested(self, painted: Path, trained: Path) -> TrainedTask:
        recipe = functools.partial(tiny_recipe, painted)
        return TrainedTask(train_module, recipe, trained, load_trained, "AP")


def test_a_run_leaves_config_log_and_weights(trained, painted):
    config = json.loads((trained / "config.json").read_text())
    assert config["model"]["num_classes"] == 2  # read from the data
    assert config["data"]["root"] == str(painted)
    assert [step for step, _ in lines(trained)] == [1, 2, 3, 4]
    assert [step for step, _ in lines(trained, "loss_mask")] == [1, 2, 3, 4]
    ((step, ap),) = lines(trained, "val/AP")
    assert step == 4
    assert 0 <= ap <= 1
    assert json.loads((trained / "best.json").read_text())["step"] == 4
    found = load_trained(trained)
    assert found.source == trained / "checkpoints" / "step-00000004" / "model.safetensors"
    assert found.classes == ("disc", "square")
    assert not found.model.training


def test_a_signal_during_validation_ends_it_and_the_next_run_validates(
    painted, trained, tmp_path, monkeypatch
):
    segment = evaluate.segment_video
    seen = []

    def interrupted(*args: Any, on_frame: Callable[[], None], **kwargs: Any) -> Any:
        def after() -> None:
            seen.append(1)
            if len(seen) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            on_frame()

        return segment(*args, on_frame=after, **kwargs)

    monkeypatch.setattr(evaluate, "segment_video", interrupted)
    assert train(tiny_recipe(painted), tmp_path) == 143
    assert len(seen) == 2
    assert RunDir(tmp_path).steps() == [2, 4]
    assert lines(tmp_path, "val/AP") == []
    assert train(tiny_recipe(painted), tmp_path) == 0
    assert lines(tmp_path, "val/AP") == lines(trained, "val/AP")
    assert train(tiny_recipe(painted), tmp_path) == 0  # finished: nothing is done again
    assert lines(tmp_path, "val/AP") == lines(trained, "val/AP")


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("data", {"root": ""}, "--data.root FOLDER"),
        ("data", {"val_split": "test"}, "--data.val-split '' trains without"),
        ("model", {"num_classes": 3}, "has 2 classes"),
        ("optim", {"lr": -1.0}, "optim.lr"),
    ],
)
def test_what_cannot_be_trained_says_why(painted, tmp_path, part, values, said):
    with pytest.raises(InputError, match=said):
        train(replace_in(tiny_recipe(painted), part, **values), tmp_path)


def test_a_continued_run_may_not_be_another_one(painted, trained):
    with pytest.raises(InputError, match=r"model\.num_queries: was 5, now 6"):
        train(replace_in(tiny_recipe(painted), "model", num_queries=6), trained)
