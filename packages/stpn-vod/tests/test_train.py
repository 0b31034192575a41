from __future__ import annotations

import functools
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.command import replace_in
from stpn_core.errors import InputError, NumericsError, RunLocked
from stpn_core.runs import RunDir, load_checkpoint, read_best
from stpn_core.testing.runs import lines, state_of
from stpn_core.testing.trainer import TrainedTask, TrainerConformance
from stpn_core.training import FiniteGuard
from stpn_data.errors import DataError
from stpn_vod import batch_loss, evaluate
from stpn_vod import train as train_module
from stpn_vod.model_file import load_trained
from stpn_vod.train import train

from .conftest import tiny_recipe


class TestTrainer(TrainerConformance):
    @pytest.fixture
    def tested(self, shapes: Path, trained: Path) -> TrainedTask:
        recipe = functools.partial(tiny_recipe, shapes)
        return TrainedTask(train_module, recipe, trained, load_trained, "AP")


def test_a_run_leaves_config_log_and_weights(trained, shapes):
    config = json.loads((trained / "config.json").read_text())
    assert config["model"]["num_classes"] == 3  # read from the data
    assert config["data"]["root"] == str(shapes)
    assert [step for step, _ in lines(trained)] == [1, 2, 3, 4]
    ((step, ap),) = lines(trained, "val/AP")
    assert step == 4
    assert 0 <= ap <= 1
    assert (trained / "checkpoints" / "step-00000004" / "model.safetensors").exists()
    assert json.loads((trained / "best.json").read_text())["step"] == 4


def test_a_signal_during_validation_ends_it_and_the_next_run_validates(
    shapes, trained, tmp_path, monkeypatch
):
    detect = evaluate.detect_sequence
    answered = []

    def interrupted(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for found in detect(*args, **kwargs):
            answered.append(1)
            if len(answered) == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            yield found

    monkeypatch.setattr(evaluate, "detect_sequence", interrupted)
    assert train(tiny_recipe(shapes), tmp_path) == 143
    assert len(answered) == 2
    assert RunDir(tmp_path).steps() == [2, 4]
    assert lines(tmp_path, "val/AP") == []
    assert train(tiny_recipe(shapes), tmp_path) == 0
    assert lines(tmp_path, "val/AP") == lines(trained, "val/AP")
    assert train(tiny_recipe(shapes), tmp_path) == 0  # finished: nothing is done again
    assert lines(tmp_path, "val/AP") == lines(trained, "val/AP")
    assert read_best(RunDir(tmp_path)) == read_best(RunDir(trained))


def test_a_fault_of_the_validation_data_costs_no_step(shapes, trained, tmp_path):
    data = tmp_path / "shapes"
    shutil.copytree(shapes, data)
    frame = next((data / "Data" / "VID" / "val").rglob("*.JPEG"))
    whole = frame.read_bytes()
    frame.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=frame.name):
        train(tiny_recipe(data), tmp_path / "run")
    assert RunDir(tmp_path / "run").steps() == [2, 4]
    frame.write_bytes(whole)
    assert train(tiny_recipe(data), tmp_path / "run") == 0
    assert lines(tmp_path / "run", "val/AP") == lines(trained, "val/AP")


def test_a_run_without_validation_saves_all_the_same(shapes, trained, tmp_path):
    assert train(replace_in(tiny_recipe(shapes), "data", val_split=""), tmp_path) == 0
    assert state_of(tmp_path) == state_of(trained)
    assert lines(tmp_path, "val/AP") == []
    assert load_trained(tmp_path).classes == load_trained(trained).classes


def test_continuing_otherwise_is_refused_and_changes_nothing(shapes, trained, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    recipe = tiny_recipe(shapes)
    other = replace_in(recipe, "model", num_prompts=3)
    for resume in ("auto", "2"):
        with pytest.raises(InputError, match=r"model\.num_prompts: was 2, now 3"):
            train(other, out, resume=resume)
    with pytest.raises(InputError, match="--resume"):
        train(recipe, out, resume="none")
    with pytest.raises(InputError, match="step-00000099"):
        train(recipe, out, resume="99")
    assert RunDir(out).steps() == RunDir(trained).steps()
    assert (out / "config.json").read_text() == (trained / "config.json").read_text()


def test_resuming_an_earlier_step_gives_the_same_bits(shapes, trained, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    assert train(tiny_recipe(shapes), tmp_path / "run", resume="2") == 0
    assert state_of(tmp_path / "run") == state_of(trained)
    assert len(lines(tmp_path / "run")) == 4


def test_a_locked_run_is_refused(shapes, trained):
    with RunDir(trained), pytest.raises(RunLocked, match=str(os.getpid())):
        train(tiny_recipe(shapes), trained)


class Repeating:
    """A loader that gives each batch `times` times."""

    def __init__(self, loader: Any, times: int) -> None:
        self.loader, self.times, self.given = loader, times, 0
        self.skipped, self.batches_per_epoch = loader.skipped, loader.batches_per_epoch

    def __next__(self) -> Any:
        if self.given % self.times == 0:
            self.batch = next(self.loader)
        self.given += 1
        return self.batch

    def __enter__(self) -> Repeating:
        return self

    def __exit__(self, *_: object) -> None:
        self.loader.close()


def test_accumulating_the_same_batch_twice_is_one_step_on_it(shapes, tmp_path, monkeypatch):
    weights = {}
    for times in (1, 2):
        loader = train_module.training_loader
        with monkeypatch.context() as patch:
            patch.setattr(
                train_module, "training_loader",
                lambda *a, times=times, loader=loader, **k: Repeating(loader(*a, **k), times),
            )  # fmt: skip
            recipe = tiny_recipe(shapes, steps=2, accumulate=times)
            recipe = replace_in(recipe, "model", drop_path=0.0, sampling="first")
            assert train(recipe, tmp_path / str(times)) == 0
        weights[times] = load_checkpoint(RunDir(tmp_path / str(times)), "auto").state["model"]
    once, twice = (dict(lines(tmp_path / name)) for name in ("1", "2"))
    assert twice == pytest.approx(once, rel=1e-5)
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[2][name], value, rtol=1e-4, atol=1e-5)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], bool]], None]:
    """Turn the frames of those steps into NaN whose number, counted from 1, the function names."""

    def install(bad: Callable[[int], bool]) -> None:
        calls: list[int] = []

        def poisoned(images: torch.Tensor, sizes: Any = None) -> torch.Tensor:
            calls.append(1)
            out = normalise(images, sizes)  # twice in each step: frames, then support
            return out * float("nan") if bad((len(calls) + 1) // 2) else out

        normalise = batch_loss.normalise
        monkeypatch.setattr(batch_loss, "normalise", poisoned)

    return install


def test_a_step_that_is_not_finite_is_left_out(shapes, tmp_path, poison):
    poison(lambda step: step == 2)
    assert train(tiny_recipe(shapes), tmp_path) == 0
    state = load_checkpoint(RunDir(tmp_path), "auto").state
    assert all(bool(torch.isfinite(v).all()) for v in state["model"].values())
    assert state["guard"]["skipped"] == 1
    assert [loss is None for _, loss in lines(tmp_path)] == [False, True, False, False]


def test_when_every_step_is_not_finite_training_ends_with_3(shapes, tmp_path, poison):
    poison(lambda step: step > 2)
    with pytest.raises(NumericsError, match=r"samples .*train/") as caught:
        train(tiny_recipe(shapes, steps=20), tmp_path)
    assert caught.value.exit_code == 3
    assert RunDir(tmp_path).steps()[0] == 2
    assert all(bool(torch.isfinite(v).all()) for v in load_trained(tmp_path).model.parameters())


def test_control_without_the_guard_weights_are_spoiled(shapes, tmp_path, poison, monkeypatch):
    monkeypatch.setattr(FiniteGuard, "accept", lambda *args, **kwargs: True)
    poison(lambda step: step == 2)
    with pytest.raises(NumericsError, match="refusing to save"):
        train(tiny_recipe(shapes), tmp_path)
