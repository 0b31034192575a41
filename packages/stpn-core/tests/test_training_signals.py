"""Signals set a flag; workers leave stopping to the trainer, and never keep it from leaving."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time

import pytest

from stpn_core.training import StopFlag, ignore_signals, kill_daemons, listening

from .faults import Counter, fork, until, wait

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_sets_the_flag_and_the_first_gives_the_code(
    number: signal.Signals, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with StopFlag() as stop:
        assert not stop
        assert stop.exit_code == 0
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
    assert stop.exit_code == code
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("killing", [True, False], ids=["killed", "control"])
def test_workers_that_ignore_sigterm_do_not_keep_the_process(killing: bool) -> None:
    """What the interpreter does when it leaves: it asks its daemons to stop, then waits for them."""
    stage = Counter()

    def worker() -> None:
        ignore_signals()
        stage.set(1)
        time.sleep(60)

    def trainer() -> int:
        multiprocessing.get_context("fork").Process(target=worker, daemon=True).start()
        assert until(lambda: stage.get() == 1)
        stage.set(2)
        if killing:
            kill_daemons()
        multiprocessing.util._exit_function()  # type: ignore[attr-defined]
        return 0

    pid = fork(trainer)
    assert until(lambda: stage.get() == 2)
    if killing:
        assert wait(pid) == 0
    else:
        assert wait(pid, seconds=1) == -9999


def test_entering_makes_sure_that_daemons_are_killed_at_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[object] = []
    monkeypatch.setattr("atexit.register", registered.append)
    with StopFlag():
        pass
    assert registered == [kill_daemons]


def test_away_from_the_main_thread_nobody_listens():
    stop, entered = StopFlag(), []

    def work() -> None:
        with listening(stop) as found:
            entered.append(found)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [None]
    with listening(stop) as found:
        assert found is stop
