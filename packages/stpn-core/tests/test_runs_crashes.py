"""Any sequence of saves, crashes, full disks and returns leaves a complete checkpoint to resume from."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stpn_core.errors import RunLocked, StpnError
from stpn_core.runs import RunDir, load_checkpoint, record_best, resume_from, save_checkpoint

from .faults import Crash, failing


def state(step: int) -> dict[str, Any]:
    return {"x": torch.full((8,), float(step)), "step": step}


class Run(RuleBasedStateMachine):
    """A trainer that saves every few steps; `newest` is the last save that did not fail."""

    @initialize()
    def begin(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.run = RunDir(Path(self._folder.name) / "run")
        self.run.__enter__()
        self.step = 0
        self.newest: int | None = None

    def teardown(self) -> None:
        if hasattr(self, "_folder"):
            self.run.__exit__(None, None, None)
            self._folder.cleanup()

    def attempt(self, call: int, how: str, keep: int) -> None:
        try:
            with failing(call, how):
                save_checkpoint(self.run, self.step, state(self.step), keep=keep)
        except Crash:
            self.resume()
        except StpnError:
            if self.run.checkpoint(self.step).exists():  # it failed after the commit
                self.newest = self.step
        else:
            self.newest = self.step

    def resume(self) -> None:
        self.run.__exit__(None, None, None)
        self.run = RunDir(self.run.path)
        self.run.__enter__()
        found = resume_from(self.run, "auto")
        reached = found.step if found else None
        assert reached in (self.newest, self.step)
        self.newest, self.step = reached, reached or 0

    @rule(ahead=st.integers(1, 3), keep=st.integers(1, 3))
    def save(self, ahead: int, keep: int) -> None:
        self.step += ahead
        self.attempt(-1, "none", keep)
        assert self.newest == self.step

    @rule(
        call=st.integers(0, 45),
        how=st.sampled_from(["crash", "ENOSPC", "EIO"]),
        keep=st.integers(1, 3),
    )
    def fail_to_save(self, call: int, how: str, keep: int) -> None:
        self.step += 1
        self.attempt(call, how, keep)

    @rule()
    def come_back(self) -> None:
        self.resume()

    @rule()
    def a_second_process_is_refused(self) -> None:
        try:
            with RunDir(self.run.path):
                raise AssertionError("two in one run")
        except RunLocked:
            pass

    @precondition(lambda self: self.newest is not None)
    @rule(value=st.floats(0, 1))
    def validate(self, value: float) -> None:
        record_best(self.run, self.newest or 0, "AP", value)

    @invariant()
    def the_newest_is_whole(self) -> None:
        if getattr(self, "newest", None) is not None:
            found = load_checkpoint(self.run, "auto")
            assert found.step == self.newest
            assert torch.equal(found.state["x"], state(found.step)["x"])


Run.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestCrashes = Run.TestCase
