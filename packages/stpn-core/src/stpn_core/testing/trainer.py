"""What every task's trainer must hold, in one process; needs pytest."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from stpn_core.command import replace_in
from stpn_core.errors import NumericsError
from stpn_core.runs import RunDir, load_checkpoint, read_best
from stpn_core.testing.runs import lines, state_of
from stpn_core.training import loop


@dataclass(frozen=True)
class TrainedTask:
    """A task's trainer and a run to compare with.

    module: the task's `train.py`, with `train`, `evaluate` and `training_loader`.
    recipe: makes a tiny recipe, with `optim` settings replaced: four steps on the CPU that draw
        random numbers, saved every second, each one logged, and a validation at the end.
    run: the folder of that recipe's finished run; nothing may change it.
    load: the task's `load_trained`, whose result has `model` and `source`.
    metric: the number of the validation that chooses the best weights.
    """

    module: ModuleType
    recipe: Callable[..., Any]
    run: Path
    load: Callable[[Path], Any]
    metric: str

    def train(self, recipe: Any, out: Path) -> int:
        """Exit code of training a recipe."""
        return int(self.module.train(recipe, out))


def doing_in(step: int, act: Callable[[], object], rank: int = 0) -> Callable[..., Any]:
    """What to put in the place of `loop.take_step`: the process of that rank does `act` before it
    takes that step, counted from 1."""
    take = loop.take_step

    def counted(*args: Any) -> Any:
        if args[-1] == step - 1 and int(os.environ.get("RANK", "0")) == rank:
            act()
        return take(*args)

    return counted


def signalled_in(step: int, rank: int = 0, number: int = signal.SIGTERM) -> Callable[..., Any]:
    """As `doing_in`: the process gets a signal."""
    return doing_in(step, lambda: os.kill(os.getpid(), number), rank)


class TrainerConformance:
    """Inherit, with a fixture `tested` that gives a `TrainedTask`."""

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    @pytest.mark.parametrize("workers", [0, 2])
    def test_resumed_training_is_the_same_to_the_bit(
        self, tested: TrainedTask, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Stopped after step 2 and continued with another number of workers."""
        loader = functools.partial(tested.module.training_loader, start_method="fork")
        monkeypatch.setattr(tested.module, "training_loader", loader)
        monkeypatch.setattr(loop, "take_step", signalled_in(2))
        assert tested.train(tested.recipe(), tmp_path) == 143
        assert RunDir(tmp_path).steps() == [2]
        assert tested.train(replace_in(tested.recipe(), "data", workers=workers), tmp_path) == 0
        assert state_of(tmp_path) == state_of(tested.run)
        assert lines(tmp_path) == lines(tested.run)

    def test_control_without_its_random_state_a_resumed_run_differs(
        self, tested: TrainedTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loop, "take_step", signalled_in(2))
        assert tested.train(tested.recipe(), tmp_path) == 143
        monkeypatch.setattr(
            "stpn_core.training.state.restore_rng", lambda state: torch.manual_seed(1)
        )
        assert tested.train(tested.recipe(), tmp_path) == 0
        assert lines(tmp_path)[:2] == lines(tested.run)[:2]
        assert lines(tmp_path)[2:] != lines(tested.run)[2:]

    def test_validation_changes_nothing_and_the_best_is_kept(
        self, tested: TrainedTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Scores 0.3, 0.1 at steps 2, 4: the best is step 2, the weights those of a run without."""
        given, evaluate = iter([0.3, 0.1]), tested.module.evaluate

        def scored(*args: Any, **kwargs: Any) -> dict[str, float]:
            return evaluate(*args, **kwargs) | {tested.metric: next(given)}

        monkeypatch.setattr(tested.module, "evaluate", scored)
        assert tested.train(replace_in(tested.recipe(), "run", validate_every=2), tmp_path) == 0
        assert state_of(tmp_path) == state_of(tested.run)
        best = read_best(RunDir(tmp_path))
        assert best is not None
        assert (best.step, best.value) == (2, 0.3)
        assert tested.load(tmp_path).source.parent.name == "step-00000002"

    def test_averaged_weights_are_those_to_use(self, tested: TrainedTask, tmp_path: Path) -> None:
        """Of gathered batches, without a validation."""
        recipe = replace_in(tested.recipe(ema=0.5, accumulate=2, steps=2), "data", val_split="")
        assert tested.train(recipe, tmp_path) == 0
        assert [step for step, _ in lines(tmp_path)] == [1, 2]
        assert lines(tmp_path, f"val/{tested.metric}") == []
        assert read_best(RunDir(tmp_path)) is None
        state = load_checkpoint(RunDir(tmp_path), "auto").state
        saved, average = tested.load(tmp_path).model.state_dict(), state["ema"]["average"]
        assert all(torch.equal(saved[name], value) for name, value in average.items())
        assert not all(torch.equal(saved[name], value) for name, value in state["model"].items())

    @pytest.mark.parametrize("precision", ["bf16", "fp16"])
    def test_low_precision_trains(
        self, tested: TrainedTask, tmp_path: Path, precision: str
    ) -> None:
        recipe = replace_in(tested.recipe(steps=2), "run", precision=precision)
        assert tested.train(recipe, tmp_path) == 0
        weights = load_checkpoint(RunDir(tmp_path), "auto").state["model"].values()
        assert all(v.dtype == torch.float32 for v in weights if v.is_floating_point())
        assert all(
            bool(v.isfinite().all()) for v in tested.load(tmp_path).model.state_dict().values()
        )
        assert all(loss is not None for _, loss in lines(tmp_path))
        ((_, value),) = lines(tmp_path, f"val/{tested.metric}")
        assert 0 <= value <= 1

    def test_losses_that_are_not_finite_end_the_run(
        self, tested: TrainedTask, tmp_path: Path
    ) -> None:
        with pytest.raises(NumericsError, match="4 steps in a row"):
            tested.train(tested.recipe(steps=9, lr=1e30, clip_norm=0.0), tmp_path)
