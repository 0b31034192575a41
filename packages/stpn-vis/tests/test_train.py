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

from stpn_core.errors import InputError, NumericsError
from stpn_core.runs import RunDir, load_checkpoint, read_best
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import loop as loop_module
from stpn_vis import evaluate
from stpn_vis import train as train_module
from stpn_vis.model_file import load_trained
from stpn_vis.train import train

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


def changed(recipe: Any, part: str, **values: Any) -> Any:
    return dataclasses.replace(
        recipe, **{part: dataclasses.replace(getattr(recipe, part), **values)}
    )


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


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_resumed_training_is_the_same_to_the_bit(
    painted, trained, tmp_path, workers, stop_at, monkeypatch
):
    """Stopped after step 2 and continued with another number of workers. DropPath and the points of
    the losses draw random numbers all the way."""
    loader = functools.partial(train_module.training_loader, start_method="fork")
    monkeypatch.setattr(train_module, "training_loader", loader)
    recipe = tiny_recipe(painted)
    stop_at(2)
    assert train(recipe, tmp_path) == 143
    assert RunDir(tmp_path).steps() == [2]
    assert train(changed(recipe, "data", workers=workers), tmp_path) == 0
    assert state_of(tmp_path) == state_of(trained)
    assert lines(tmp_path) == lines(trained)


def test_control_without_its_random_state_a_resumed_run_differs(
    painted, trained, tmp_path, monkeypatch, stop_at
):
    stop_at(2)
    assert train(tiny_recipe(painted), tmp_path) == 143
    monkeypatch.setattr("stpn_core.training.state.restore_rng", lambda state: torch.manual_seed(1))
    assert train(tiny_recipe(painted), tmp_path) == 0
    assert lines(tmp_path)[:2] == lines(trained)[:2]
    assert lines(tmp_path)[2:] != lines(trained)[2:]


def test_validation_changes_nothing_and_the_best_is_kept(painted, trained, tmp_path, monkeypatch):
    """Scores 0.3, 0.1 at steps 2, 4: the best is step 2, the weights those of a run without."""
    given = iter([0.3, 0.1])

    def scored(*args: Any, **kwargs: Any) -> dict[str, float]:
        return evaluate.evaluate(*args, **kwargs) | {"AP": next(given)}

    monkeypatch.setattr(train_module, "evaluate", scored)
    assert train(changed(tiny_recipe(painted), "run", validate_every=2), tmp_path) == 0
    assert state_of(tmp_path) == state_of(trained)
    best = read_best(RunDir(tmp_path))
    assert best is not None
    assert (best.step, best.value) == (2, 0.3)
    assert load_trained(tmp_path).source.parent.name == "step-00000002"


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


def test_averaged_weights_are_evaluated_and_saved(painted, tmp_path):
    recipe = changed(tiny_recipe(painted, ema=0.5), "data", val_split="")
    assert train(recipe, tmp_path) == 0
    state = load_checkpoint(RunDir(tmp_path), "auto").state
    saved = load_trained(tmp_path).model.state_dict()
    average = state["ema"]["average"]
    assert all(torch.equal(saved[name], value) for name, value in average.items())
    assert not all(torch.equal(saved[name], value) for name, value in state["model"].items())
    assert read_best(RunDir(tmp_path)) is None


def test_accumulated_batches_are_one_step(painted, tmp_path):
    recipe = changed(tiny_recipe(painted, steps=1, accumulate=2), "data", val_split="")
    assert train(recipe, tmp_path) == 0
    assert [step for step, _ in lines(tmp_path)] == [1]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_trains_with_finite_weights(painted, tmp_path, precision):
    recipe = changed(tiny_recipe(painted, steps=2), "run", precision=precision)
    assert train(recipe, tmp_path) == 0
    assert all(bool(v.isfinite().all()) for v in load_trained(tmp_path).model.state_dict().values())
    ((_, ap),) = lines(tmp_path, "val/AP")
    assert 0 <= ap <= 1


def test_losses_that_are_not_finite_end_the_run(painted, tmp_path):
    with pytest.raises(NumericsError, match="4 steps in a row"):
        train(tiny_recipe(painted, steps=9, lr=1e30, clip_norm=0.0), tmp_path)


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
        train(changed(tiny_recipe(painted), part, **values), tmp_path)


def test_a_continued_run_may_not_be_another_one(painted, trained):
    with pytest.raises(InputError, match=r"model\.num_queries: was 5, now 6"):
        train(changed(tiny_recipe(painted), "model", num_queries=6), trained)
