from __future__ import annotations

import dataclasses
import functools
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import torch

from stpn_core.command import replace_in
from stpn_core.errors import InputError, NumericsError
from stpn_core.runs import RunDir, load_checkpoint, read_best
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import loop as loop_module
from stpn_vot import evaluate
from stpn_vot import train as train_module
from stpn_vot.model_file import load_trained
from stpn_vot.train import train

from .conftest import tiny_recipe


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have this process sent a SIGTERM within step number `step` of the next call of `train`."""

    def install(step: int) -> None:
        take = loop_module.take_step

        def counted(*args: Any) -> Any:
            if args[-1] == step - 1:
                os.kill(os.getpid(), signal.SIGTERM)
            return take(*args)

        monkeypatch.setattr(loop_module, "take_step", counted)

    return install


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


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_training_is_the_same_to_the_bit(
    squares, trained, tmp_path, workers, stop_at, monkeypatch
):
    """Stopped after step 2 and continued with another number of workers. DropPath draws random
    numbers all the way."""
    loader = functools.partial(train_module.training_loader, start_method="fork")
    monkeypatch.setattr(train_module, "training_loader", loader)
    recipe = tiny_recipe(squares)
    stop_at(2)
    assert train(recipe, tmp_path) == 143
    assert RunDir(tmp_path).steps() == [2]
    assert train(replace_in(recipe, "data", workers=workers), tmp_path) == 0
    assert state_of(tmp_path) == state_of(trained)
    assert lines(tmp_path) == lines(trained)


def test_control_without_its_random_state_a_resumed_run_differs(
    squares, trained, tmp_path, monkeypatch, stop_at
):
    stop_at(2)
    assert train(tiny_recipe(squares), tmp_path) == 143
    monkeypatch.setattr("stpn_core.training.state.restore_rng", lambda state: torch.manual_seed(1))
    assert train(tiny_recipe(squares), tmp_path) == 0
    assert lines(tmp_path)[:2] == lines(trained)[:2]
    assert lines(tmp_path)[2:] != lines(trained)[2:]


def test_validation_changes_nothing_and_the_best_is_kept(squares, trained, tmp_path, monkeypatch):
    """Scores 0.3, 0.1 at steps 2, 4: the best is step 2, the weights those of a run without."""
    given = iter([0.3, 0.1])

    def scored(*args: Any, **kwargs: Any) -> dict[str, float]:
        return evaluate.evaluate(*args, **kwargs) | {"AO": next(given)}

    monkeypatch.setattr(train_module, "evaluate", scored)
    assert train(replace_in(tiny_recipe(squares), "run", validate_every=2), tmp_path) == 0
    assert state_of(tmp_path) == state_of(trained)
    best = read_best(RunDir(tmp_path))
    assert best is not None
    assert (best.step, best.value) == (2, 0.3)
    assert load_trained(tmp_path).source.parent.name == "step-00000002"


def test_averaged_weights_of_gathered_batches_in_bf16(squares, tmp_path):
    """Everything at once that a step can have; the averaged weights are those to use."""
    recipe = tiny_recipe(squares, steps=2, accumulate=2, ema=0.5)
    recipe = replace_in(replace_in(recipe, "data", val_split=""), "run", precision="bf16")
    assert train(dataclasses.replace(recipe, protocol="got10k"), tmp_path) == 0
    assert [step for step, _ in lines(tmp_path)] == [1, 2]
    state = load_checkpoint(RunDir(tmp_path), "auto").state
    found = load_trained(tmp_path)
    saved = found.model.state_dict()
    average = state["ema"]["average"]
    assert all(bool(value.isfinite().all()) for value in saved.values())
    assert all(torch.equal(saved[name], value) for name, value in average.items())
    assert not all(torch.equal(saved[name], value) for name, value in state["model"].items())
    assert found.protocol == "got10k"
    assert read_best(RunDir(tmp_path)) is None


def test_losses_that_are_not_finite_end_the_run(squares, tmp_path):
    with pytest.raises(NumericsError, match="4 steps in a row"):
        train(tiny_recipe(squares, steps=9, lr=1e30, clip_norm=0.0), tmp_path)


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
