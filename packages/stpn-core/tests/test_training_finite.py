"""NaN and infinity reach neither weights nor optimiser, buffers, average or checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stpn_core.errors import NumericsError
from stpn_core.runs import RunDir, load_checkpoint
from stpn_core.runs.plain_state import leaves
from stpn_core.training import FiniteGuard, clip_gradients, grad_scaler

from .toy_training import Toy, loss_of, train

AT, STEPS = 17, 40
Tamper = Callable[[int, Toy, Tensor], Tensor]


def spoil_input(step: int, model: Toy, x: Tensor) -> Tensor:
    x = x.clone()
    x[0, 0] = float("nan")
    return x


def spoil_gradient(step: int, model: Toy, x: Tensor) -> Tensor:
    def spoil(gradient: Tensor) -> Tensor:
        hook.remove()
        gradient = gradient.clone()
        gradient[1, 2] = float("inf")
        return gradient

    hook = model.inner.weight.register_hook(spoil)
    return x


def spoil_weight(step: int, model: Toy, x: Tensor) -> Tensor:
    with torch.no_grad():
        model.outer.weight[0, 0] = float("nan")
    return x


def spoil_loss(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    losses = loss_of(model, x, y)
    calls[0] += 1
    return {**losses, "extra": losses["bce"] * (float("nan") if calls[0] == AT + 1 else 0.0)}


calls = [0]


def at(spoil: Tamper, first: int = AT, last: int = AT) -> Tamper:
    return lambda step, model, x: spoil(step, model, x) if first <= step <= last else x


def saved_states_are_finite(out: Path) -> bool:
    run = RunDir(out)
    tensors = [
        value
        for step in run.steps()
        for _, value in leaves(load_checkpoint(run, step).state)
        if torch.is_tensor(value)
    ]
    assert tensors
    return all(bool(torch.isfinite(value).all()) for value in tensors)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tamper": at(spoil_input)}, "loss bce"),
        ({"tamper": at(spoil_gradient)}, "gradient norm"),
        ({"losses_of": spoil_loss}, "loss extra"),
    ],
    ids=["input", "gradient", "loss"],
)
def test_one_spoilt_step_is_skipped_and_its_samples_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, options: dict, named: str
) -> None:
    calls[0] = 0
    with caplog.at_level(logging.WARNING):
        assert train(tmp_path, steps=STEPS, save_every=AT + 1, **options) == 0
    messages = [r.getMessage() for r in caplog.records if "not finite" in r.getMessage()]
    assert len(messages) == 1
    assert f"step {AT}: not finite: {named}" in messages[0]
    assert len(messages[0].partition("samples ")[2].partition(";")[0].split(", ")) == 8
    assert saved_states_are_finite(tmp_path)
    assert load_checkpoint(RunDir(tmp_path), STEPS).state["guard"] == {"in_a_row": 0, "skipped": 1}


def test_three_in_a_row_are_skipped(tmp_path: Path) -> None:
    assert train(tmp_path, steps=STEPS, tamper=at(spoil_input, AT, AT + 2)) == 0
    assert load_checkpoint(RunDir(tmp_path), STEPS).state["guard"]["skipped"] == 3
    assert saved_states_are_finite(tmp_path)


def test_the_fourth_in_a_row_ends_the_run_with_exit_code_3(tmp_path: Path) -> None:
    with pytest.raises(NumericsError, match="4 steps in a row") as failure:
        train(tmp_path, steps=STEPS, save_every=5, tamper=at(spoil_input, AT, STEPS))
    assert failure.value.exit_code == 3
    assert f"step {AT + 3}" in str(failure.value)
    assert saved_states_are_finite(tmp_path)


@pytest.mark.parametrize("save_every", [5, 15])
def test_a_spoilt_weight_ends_the_run_and_is_never_saved(tmp_path: Path, save_every: int) -> None:
    with pytest.raises(NumericsError) as failure:
        train(tmp_path, steps=STEPS, save_every=save_every, tamper=at(spoil_weight))
    assert failure.value.exit_code == 3
    assert RunDir(tmp_path).steps()[-1] == 15
    assert saved_states_are_finite(tmp_path)


@pytest.mark.parametrize("spoil", [spoil_input, spoil_gradient], ids=["input", "gradient"])
def test_control_without_the_guard_it_spreads(
    tmp_path: Path, spoil: Tamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FiniteGuard, "accept", lambda *_, **__: True)
    with pytest.raises(NumericsError, match=r"state\.model\.inner\.weight"):
        train(tmp_path, steps=STEPS, save_every=AT + 2, tamper=at(spoil))


def test_a_refused_step_leaves_the_buffers_as_they_were() -> None:
    model = Toy()
    guard = FiniteGuard(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    guard.before_forward()
    loss = model(torch.full((4, 6), float("nan"))).sum()
    assert not torch.isfinite(model.norm.running_mean).any()  # so there was something to undo
    assert not guard.accept({"loss": loss}, 1.0, step=0)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


def test_a_buffer_that_overflows_under_a_finite_loss_is_refused() -> None:
    model = Toy()
    guard = FiniteGuard(model)
    guard.before_forward()
    model.norm.running_var.fill_(float("inf"))
    assert not guard.accept({"loss": 0.5}, 1.0, step=0)
    assert torch.equal(model.norm.running_var, torch.ones(16))


def test_a_good_step_ends_the_row_and_the_count_is_saved() -> None:
    guard = FiniteGuard(nn.Linear(1, 1))
    for _ in range(3):
        assert not guard.accept({"a": float("nan")}, 1.0, step=0)
    assert guard.accept({"a": 1.0}, 1.0, step=1)
    for _ in range(2):
        assert not guard.accept({"a": 1.0}, float("inf"), step=2)
    resumed = FiniteGuard(nn.Linear(1, 1))
    resumed.load_state_dict(guard.state_dict())
    assert not resumed.accept({"a": float("nan")}, 1.0, step=3)
    with pytest.raises(NumericsError):
        resumed.accept({"a": float("nan")}, 1.0, step=4)


def test_a_loss_scaler_may_search_its_scale_without_being_counted() -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scaler, guard = grad_scaler("fp16"), FiniteGuard(model)
    weight = model.weight.detach().clone()
    for step in range(16):  # 65536 down to 1
        assert scaler.get_scale() == 2.0 ** (16 - step)
        scaler.scale(model(torch.ones(1, 2)).sum()).backward()
        assert model.weight.grad is not None
        model.weight.grad.fill_(float("inf"))
        scaler.unscale_(optimizer)
        norm = clip_gradients(model.parameters(), 1.0)
        assert not guard.accept({"loss": 1.0}, norm, step=step, scaler=scaler)
        scaler.update()
        optimizer.zero_grad()
    assert guard.skipped == 0
    assert torch.equal(weight, model.weight)
    assert not guard.accept({"loss": 1.0}, float("inf"), step=16, scaler=scaler)
    assert guard.skipped == 1
    # A loss that is not finite is no matter of scale.
    assert not guard.accept({"loss": float("nan")}, 1.0, step=17, scaler=grad_scaler("fp16"))
    assert guard.skipped == 2
