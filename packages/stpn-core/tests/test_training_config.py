from __future__ import annotations

import dataclasses

import pytest

from stpn_core.training.config import OptimConfig, RunConfig, optim_faults, run_faults


def test_the_defaults_pass():
    assert optim_faults(OptimConfig()) == []
    assert run_faults(RunConfig()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.0), ("lr", float("nan")), ("encoder_lr", -1.0), ("predictor_lr", float("inf")),
        ("batch_size", 0), ("accumulate", 0), ("weight_decay", -0.1), ("steps", -5),
        ("warmup_steps", -1), ("warmup_ratio", 1.5), ("clip_norm", -1.0), ("ema", 1.0),
        ("drop_at", (0.9, 0.7)), ("drop_at", (6.0,)), ("epochs", 0.0),
    ],
)  # fmt: skip
def test_a_number_of_the_optimiser_that_cannot_work_is_named(name, value):
    (fault,) = optim_faults(dataclasses.replace(OptimConfig(), **{name: value}))
    assert name in fault


@pytest.mark.parametrize(
    ("name", "value"),
    [("save_every", 0), ("log_every", 0), ("keep", 0), ("validate_every", -1), ("timeout", 0.0),
     ("seed", -1)],
)  # fmt: skip
def test_a_number_of_the_run_that_cannot_work_is_named(name, value):
    (fault,) = run_faults(dataclasses.replace(RunConfig(), **{name: value}))
    assert name in fault
