"""State of a run, one step of it, and what it keeps; on a toy that draws random numbers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stpn_core.errors import InputError
from stpn_core.runs import MODEL_FILE, CheckpointDamaged, RunDir, record_best, weights_file
from stpn_core.settings import STRICT
from stpn_core.training import (
    MetricsLog,
    OptimConfig,
    RunConfig,
    World,
    check_same_run,
    continue_run,
    is_due,
    logged_scores,
    open_log,
    prepare_training,
    save_step,
    stpn_multipliers,
    take_step,
    total_steps,
)
from stpn_core.training.keeping import told_at_the_end

ALONE = World(0, 1, 0, torch.device("cpu"))
OPTIM = OptimConfig(lr=0.1, ema=0.5, accumulate=2, batch_size=3)
RUN = RunConfig(seed=3)


@dataclass(frozen=True)
class Data:
    __pydantic_config__ = STRICT
    root: str = "here"
    sides: tuple[int, ...] = (3, 4)


@dataclass(frozen=True)
class Recipe:
    __pydantic_config__ = STRICT
    name: str = "toy"
    model: dict[str, int] = field(default_factory=lambda: {"width": 4})
    data: Data = field(default_factory=Data)
    optim: OptimConfig = OPTIM
    run: RunConfig = RUN


class Loss(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.drop = nn.Linear(6, 2), nn.Dropout(0.5)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        out = self.drop(self.inner(batch.frames.flatten(1)))
        return {"a": out.square().mean(), "b": out.abs().mean()}


@dataclass
class Batch:
    frames: Tensor
    names: list[str]

    @property
    def support(self) -> Tensor:
        return self.frames[:, None]

    def __len__(self) -> int:
        return len(self.frames)

    def to(self, device: torch.device) -> Batch:
        return Batch(self.frames.to(device), self.names)


def batches(start: int = 0, spoil: int = -1) -> Iterator[Batch]:
    number = start
    while True:
        frames = torch.randn(3, 3, 1, 2, generator=torch.Generator().manual_seed(number))
        yield Batch(frames * (torch.nan if number == spoil else 1), [f"clip {number}"])
        number += 1


def prepared() -> Any:
    return prepare_training(Loss(), OPTIM, RUN, ALONE, 10)


def steps(training: Any, first: int, last: int, **options: int) -> list[dict[str, float]]:
    stream = batches(first * OPTIM.accumulate, **options)
    return [
        take_step(training, training.model, stream, OPTIM, RUN, ALONE, step)
        for step in range(first, last)
    ]


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [item for key in value for item in flat(value[key])]
    if isinstance(value, list | tuple):
        return [item for part in value for item in flat(part)]
    return [value.tolist() if isinstance(value, Tensor) else value]


@pytest.mark.parametrize("forget", [False, True])
def test_a_restored_run_goes_on_to_the_same_bits(forget):
    """Control: without its random numbers it does not."""
    whole = prepared()
    losses = steps(whole, 0, 4)
    half = prepared()
    steps(half, 0, 2)
    state = half.state(2, ALONE)
    other = prepared()
    assert other.restore(state, ALONE) == 2
    if forget:
        torch.manual_seed(5)
    rest = steps(other, 2, 4)
    same = flat(other.state(4, ALONE)) == flat(whole.state(4, ALONE))
    assert (rest == losses[2:], same) == ((False, False) if forget else (True, True))


def test_losses_and_gradients_are_means_over_the_batches():
    training = prepared()
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    (found,) = steps(training, 0, 1)
    again = prepared()  # draws the same random numbers
    parts = [again.model(batch) for batch, _ in zip(batches(), range(2), strict=False)]
    assert found == {
        name: pytest.approx(sum(float(part[name].detach()) for part in parts) / 2) for name in "ab"
    }
    for name, value in training.model.state_dict().items():
        average = training.ema.state_dict()["average"][name]
        assert not torch.equal(value, before[name])
        assert not torch.equal(value, average)  # it moves half of the way, or a first step less


def test_a_step_that_is_not_finite_changes_nothing():
    training = prepared()
    before = flat(training.model.state_dict())
    steps(training, 0, 1, spoil=1)
    assert flat(training.model.state_dict()) == before
    assert training.guard.skipped == 1
    steps(training, 1, 2)
    assert flat(training.model.state_dict()) != before


def test_another_number_of_processes_or_clips_is_refused():
    state = prepared().state(0, ALONE)
    with pytest.raises(InputError, match=r"trained by 1 processes and 2 are here.*--init"):
        prepared().restore(state, World(0, 2, 0, torch.device("cpu")))
    with pytest.raises(InputError, match="restore the data"):
        dataclasses.replace(prepared(), clips=9).restore(state, ALONE)


def test_the_predictor_of_a_twin_has_no_rate():
    optim = dataclasses.replace(OPTIM, encoder_lr=0.1, predictor_lr=3.0)
    twin, whole = SimpleNamespace(predictor=None), SimpleNamespace(predictor=1)
    assert stpn_multipliers(twin, optim) == {"stpn.encoder": 0.1}
    assert stpn_multipliers(whole, optim) == {"stpn.encoder": 0.1, "stpn.predictor": 3.0}
    assert stpn_multipliers(whole, OPTIM) == {}


def saved_recipe() -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(Recipe())))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model": {"width": 5}}, "model.width"),
        ({"data": Data(sides=(3,))}, "data.sides"),
        ({"data": Data(root="there")}, None),
        ({"optim": dataclasses.replace(OPTIM, encoder_lr=0.1)}, "optim.encoder_lr"),
        ({"optim": dataclasses.replace(OPTIM, lr=9.0, steps=3)}, None),
        ({"run": RunConfig(seed=4)}, "run.seed"),
        ({"run": RunConfig(seed=3, keep=7)}, None),
        ({"name": "other"}, None),
    ],
)
def test_what_decides_the_weights_may_not_change(change, named):
    recipe = dataclasses.replace(Recipe(), **change)
    if named is None:
        check_same_run(saved_recipe(), recipe, ["data.root"])
        return
    with pytest.raises(InputError, match=rf"{named}: was .*, now "):
        check_same_run(saved_recipe(), recipe, ["data.root"])


def write(path: Path, weights: Any) -> None:
    path.write_text(json.dumps(flat(dict(weights))))


def test_a_run_is_saved_and_found_again(tmp_path):
    recipe, training = Recipe(), prepared()
    with RunDir(tmp_path / "run") as run:
        assert continue_run(run, recipe, "auto", may_change=()) is None
        for step in (1, 2):
            steps(training, step - 1, step)
            save_step(run, training, step, ALONE, write, keep=2)
        averaged = flat(training.ema.state_dict()["average"])
        assert json.loads(weights_file(run.path).read_text()) == averaged
        assert weights_file(run.checkpoint(1)) == run.checkpoint(1) / MODEL_FILE
        record_best(run, 1, "AP", 0.5)
        assert weights_file(run.path).parent.name == "step-00000001"
        (run.checkpoint(1) / MODEL_FILE).write_text("[]")
        with pytest.raises(CheckpointDamaged):
            weights_file(run.path)
        state = continue_run(run, recipe, "auto", may_change=())
        assert state is not None
        assert flat(state) == flat(training.state(2, ALONE))
        other = dataclasses.replace(recipe, model={"width": 5})
        with pytest.raises(InputError, match="another configuration"):
            continue_run(run, other, "auto", may_change=())
    with pytest.raises(InputError, match="without a complete checkpoint"):
        weights_file(tmp_path)
    assert weights_file(tmp_path / "a.pth") == tmp_path / "a.pth"


def test_scores_of_a_step_are_found_in_the_log(tmp_path):
    with RunDir(tmp_path) as run, open_log(run, None, tensorboard=False) as log:
        assert isinstance(log, MetricsLog)
        log.write(2, loss=1.0)
        log.write(2, **{"val/AP": 0.25, "val/AP50": 0.5})
        assert logged_scores(run, 2, "AP") == {"AP": 0.25, "AP50": 0.5}
        assert logged_scores(run, 3, "AP") is None
        assert logged_scores(run, 2, "AUC") is None
    with open_log(None, None, tensorboard=False) as log:
        assert log is None
    assert logged_scores(None, 2, "AP") is None


def test_when_things_are_due():
    assert [s for s in range(1, 8) if is_due(3, s, 7)] == [3, 6, 7]
    assert [s for s in range(1, 8) if is_due(0, s, 7)] == [7]
    assert total_steps(OptimConfig(steps=0, epochs=2.5, accumulate=2), 7) == 8
    assert total_steps(OptimConfig(steps=5, epochs=2.5), 7) == 5


def test_what_was_left_out_is_told_by_reason_however_training_ends(caplog):
    caplog.set_level("INFO")
    for counts, said in (
        ({"unreadable": 2, "no area": 1}, "2 × unreadable, 1 × no area"),
        ({}, ""),
    ):
        caplog.clear()
        skips = SimpleNamespace(named=[], by_reason=counts, total=sum(counts.values()))
        with pytest.raises(InputError), told_at_the_end(skips):
            raise InputError("the end")
        told = [record.getMessage() for record in caplog.records]
        assert told == ([f"clips and draws left out: {said}"] if said else [])
