"""A loop that is killed or asked to stop anywhere continues as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.runs import RunDir, load_checkpoint
from stpn_core.runs.plain_state import leaves

from . import toy_training
from .faults import Counter, fork, has_ended, survivors, until, wait
from .toy_training import train, warm_up

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

STEPS, KILLS, STOPS = 700, 25, 20


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nobody disturbed."""
    warm_up()
    out = tmp_path_factory.mktemp("reference")
    assert wait(fork(lambda: train(out, steps=STEPS))) == 0
    return out


def losses(out: Path) -> list[str]:
    return (out / "metrics.jsonl").read_text().splitlines()


def assert_same(out: Path, reference: Path) -> None:
    """Every loss of every step, and all that the last checkpoint holds, bit for bit."""
    assert losses(out) == losses(reference)
    assert len(losses(out)) == STEPS
    ours, theirs = (dict(leaves(load_checkpoint(RunDir(p), STEPS).state)) for p in (out, reference))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        same = torch.equal(ours[name], value) if torch.is_tensor(value) else ours[name] == value
        assert same, name


def live(out: Path, errors: Path, **options: Any) -> tuple[int, Counter, Counter]:
    """Pid of a child that trains, the step it started from, the last step it finished."""
    began, finished = Counter(-1), Counter()

    def on_step(step: int) -> None:
        if began.get() < 0:
            began.set(step - 1)
        finished.set(step)

    return (
        fork(lambda: train(out, steps=STEPS, on_step=on_step, **options), errors),
        began,
        finished,
    )


def moment_to_kill(rng: random.Random, began: Counter, finished: Counter) -> Callable[[], bool]:
    """Any moment, also while it starts, or after some steps, however slow the machine is."""
    if rng.random() < 0.2:
        moment = time.monotonic() + rng.uniform(0.0, 0.15)
        return lambda: time.monotonic() > moment
    steps = rng.randint(5, 60)
    return lambda: began.get() >= 0 and finished.get() >= began.get() + steps


def test_kill_anywhere_then_resume_gives_the_same_bits(tmp_path: Path, reference: Path) -> None:
    rng, errors = random.Random(1), tmp_path / "errors.txt"
    kills, runs, started_at = 0, 0, []
    code = -9
    while kills < KILLS or code != 0:
        out = tmp_path / str(runs)
        pid, began, finished = live(out, errors, workers=rng.choice([0, 0, 2]))
        due = moment_to_kill(rng, began, finished) if kills < KILLS else lambda: False
        assert until(lambda p=pid, d=due: d() or has_ended(p))
        time.sleep(rng.uniform(0, 0.004))  # into a step or a save
        os.kill(pid, signal.SIGKILL)
        code = wait(pid)
        assert code in (0, -9), errors.read_text()
        started_at.append(began.get())
        if code == 0:
            assert_same(out, reference)
            runs += 1
        else:
            kills += 1
    assert runs >= 1
    assert len({step for step in started_at if step > 0}) >= 10, started_at


def test_control_without_the_generators_the_losses_differ(tmp_path: Path, reference: Path) -> None:
    out, errors = tmp_path / "run", tmp_path / "errors.txt"
    pid, _, finished = live(out, errors)
    assert until(lambda: finished.get() >= 60)
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    start = len(losses(out)) // 25 * 25
    pid, began, _ = live(out, errors, with_rng=False)
    assert wait(pid) == 0
    assert 25 <= began.get() <= start
    ours, theirs = losses(out), losses(reference)
    assert ours[: began.get()] == theirs[: began.get()]
    different = sum(a != b for a, b in zip(ours, theirs, strict=True))
    assert different > 0.9 * (STEPS - began.get())


def signal_again_while_saving() -> None:
    """In a child: a second SIGTERM arrives inside every fsync of a save."""
    real = os.fsync

    def fsync(fd: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        real(fd)

    os.fsync = fsync


def test_sigterm_saves_at_the_step_and_exits_143(tmp_path: Path, reference: Path) -> None:
    """To the process and to its whole group, workers included; once, or again while it saves."""
    rng = random.Random(2)
    out, errors = tmp_path / "run", tmp_path / "errors.txt"
    for life in range(STOPS):
        again, group = life % 4 > 1, life % 2 == 1
        began, finished = Counter(-1), Counter()

        def work(again: bool = again, b: Counter = began, f: Counter = finished) -> int:
            def on_step(step: int) -> None:
                if b.get() < 0:
                    b.set(step - 1)
                    if again:
                        signal_again_while_saving()
                f.set(step)

            return train(out, steps=STEPS, workers=2, save_every=10_000, on_step=on_step)

        pid = fork(work, errors)
        goal = rng.randint(3, 30)
        assert until(lambda b=began, f=finished, g=goal: b.get() >= 0 and f.get() >= b.get() + g)
        sent_at = finished.get()
        (os.killpg if group else os.kill)(pid, signal.SIGTERM)
        assert wait(pid) == 143, errors.read_text()
        saved = RunDir(out).steps()[-1]
        assert saved == finished.get()
        if not again:  # a signal of ours inside a save may have stopped it before
            assert sent_at <= saved <= sent_at + 3
        assert until(lambda p=pid: not survivors(p))
    assert errors.read_text().count("SIGTERM: stopping after this step") == STOPS
    pid = fork(lambda: train(out, steps=STEPS, workers=2), errors)
    assert wait(pid) == 0
    assert_same(out, reference)


def test_control_workers_that_heed_sigterm_spoil_the_stop(tmp_path: Path) -> None:
    code, life = 143, 0
    while code == 143 and life < 10:  # a worker may happen to die after the trainer left
        life, finished = life + 1, Counter()

        def work(life: int = life, f: Counter = finished) -> int:
            toy_training.ignore_signals = None  # type: ignore[assignment]
            return train(tmp_path / str(life), steps=STEPS, workers=2, on_step=f.set)

        pid = fork(work)
        assert until(lambda f=finished: f.get() >= 5)
        os.killpg(pid, signal.SIGTERM)
        code = wait(pid)
    assert code != 143


def test_no_worker_outlives_a_killed_trainer(tmp_path: Path) -> None:
    pid, _, finished = live(tmp_path / "run", tmp_path / "errors.txt", workers=2)
    assert until(lambda: finished.get() >= 5)
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    assert until(lambda: not survivors(pid), seconds=2)
