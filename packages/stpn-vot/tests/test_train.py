from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path

import pytest

from stpn_core.command import replace_in
from stpn_core.errors import InputError
from stpn_core.testing.runs import lines
from stpn_core.testing.trainer import TrainedTask, TrainerConformance
from stpn_vot import train as train_module
from stpn_vot.model_file import load_trained
from stpn_vot.train import train

from .conftest import tiny_recipe


class TestTrainer(TrainerConformance):
    @pytest.fixture
    def tested(self, squares: Path, trained: Path) -> TrainedTask:
        recipe = functools.partial(tiny_recipe, squares)
        return TrainedTask(train_module, recipe, trained, load_trained, "AO")


def test_a_run_leaves_config_log_and_weights(trained, squares):
    config = json.loads((trained / "config.json").read_text())
    assert config["data"]["root"] == str(squares)
    assert config["objective"]["stage"] == "both"
    assert [step for step, _ in lines(trained)] == [1, 2, 3, 4]
    for loss in ("loss_overlap", "loss_l1", "loss_score"):
        assert [step for step, _ in lines(trained, loss)] == [1, 2, 3, 4]
    ((step, ao),) = lines(trained, "val/AO")
    assert step == 4
    assert 0 <= ao <= 1
    found = load_trained(trained)
    assert found.source == trained / "checkpoints" / "step-00000004" / "model.safetensors"
    assert found.protocol == "unknown"
    assert not found.model.training


def test_the_weights_tell_the_protocol_they_were_trained_by(squares, tmp_path):
    recipe = replace_in(tiny_recipe(squares, steps=1), "data", val_split="")
    assert train(dataclasses.replace(recipe, protocol="got10k"), tmp_path) == 0
    assert load_trained(tmp_path).protocol == "got10k"


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("data", {"root": ""}, "--data.root FOLDER"),
        ("data", {"val_split": "test"}, "--data.val-split '' trains without"),
        ("model", {"prompt_aux": 0.1, "num_classes": 2}, "has 3 classes, the recipe 2"),
        ("optim", {"lr": -1.0}, "optim.lr"),
    ],
)
def test_what_cannot_be_trained_says_why(squares, tmp_path, part, values, said):
    with pytest.raises(InputError, match=said):
        train(replace_in(tiny_recipe(squares), part, **values), tmp_path)


@pytest.mark.parametrize(
    ("part", "values", "said"),
    [
        ("model", {"num_prompts": 4}, r"model\.num_prompts: was 9, now 4"),
        ("objective", {"l1_weight": 1.0}, r"objective\.l1_weight: was 5.0, now 1.0"),
    ],
)
def test_a_continued_run_may_not_be_another_one(squares, trained, part, values, said):
    with pytest.raises(InputError, match=said):
        train(replace_in(tiny_recipe(squares), part, **values), trained)
