"""One process at a time in a run directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from stpn_core.errors import InputError, RunLocked
from stpn_core.runs import RunDir, save_checkpoint

from .faults import Counter, fork, until, wait

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_the_second_is_refused_and_told_who_is_in(tmp_path: Path) -> None:
    with RunDir(tmp_path), pytest.raises(RunLocked) as refusal, RunDir(tmp_path):
        pass
    assert f"process {os.getpid()} on {socket.gethostname()}" in str(refusal.value)
    assert refusal.value.exit_code == 5
    with RunDir(tmp_path):
        pass


def test_fifty_pairs_at_once_have_one_winner_each_and_kill_frees_the_lock(tmp_path: Path) -> None:
    for pair in range(50):
        out = tmp_path / str(pair)
        start, winners = Counter(), [Counter(), Counter()]

        def contend(me: Counter, start: Counter = start, out: Path = out) -> None:
            until(lambda: start.get() == 1)
            with RunDir(out):
                me.set(1)
                time.sleep(60)

        errors = [tmp_path / f"{pair}-{i}.txt" for i in range(2)]
        pids = [fork(lambda c=c: contend(c), e) for c, e in zip(winners, errors, strict=True)]
        start.set(1)
        assert until(lambda w=winners: w[0].get() + w[1].get() == 1)
        winner = 0 if winners[0].get() else 1
        began = time.monotonic()
        assert wait(pids[1 - winner]) == 5
        assert time.monotonic() - began < 2
        assert winners[1 - winner].get() == 0
        assert f"process {pids[winner]} on" in errors[1 - winner].read_text()
        os.kill(pids[winner], signal.SIGKILL)
        wait(pids[winner])
        with RunDir(out):
            pass


def test_without_the_lock_both_would_win(tmp_path: Path) -> None:
    """Control: the harness sees two winners when nothing excludes them."""
    winners = [Counter(), Counter()]

    def contend(me: Counter) -> None:
        RunDir(tmp_path).checkpoints.mkdir(parents=True, exist_ok=True)
        me.set(1)
        time.sleep(60)

    pids = [fork(lambda c=c: contend(c)) for c in winners]
    assert until(lambda: winners[0].get() + winners[1].get() == 2)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        wait(pid)


@pytest.mark.parametrize("inherit", [False, True], ids=["closed in children", "control"])
def test_an_orphaned_worker_does_not_hold_a_dead_trainers_lock(
    tmp_path: Path, inherit: bool
) -> None:
    orphan = Counter()

    def trainer() -> None:
        with RunDir(tmp_path) as run:
            if inherit:  # what would happen if children kept the descriptor
                run._lock._forget = lambda: None  # type: ignore[method-assign]
                os.dup(run._lock._fd)  # type: ignore[arg-type]
            pid = fork(lambda: time.sleep(60))
            orphan.set(pid)
            time.sleep(60)

    pid = fork(trainer)
    assert until(lambda: orphan.get() > 0)
    time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    wait(pid)
    try:
        if inherit:
            with pytest.raises(RunLocked), RunDir(tmp_path):
                pass
        else:
            with RunDir(tmp_path):
                pass
    finally:
        os.kill(orphan.get(), signal.SIGKILL)


def test_a_forked_child_cannot_save(tmp_path: Path) -> None:
    with RunDir(tmp_path) as run:

        def child() -> int:
            with pytest.raises(RuntimeError, match="not locked by this process"):
                save_checkpoint(run, 1, {})
            return 0

        assert wait(fork(child)) == 0
        save_checkpoint(run, 1, {})


def test_the_name_of_a_killed_holder_is_not_given(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    dead = fork(lambda: 0)
    wait(dead)
    with run:
        (tmp_path / ".lock").write_text(json.dumps({"pid": dead, "host": "elsewhere"}))
        with pytest.raises(RunLocked, match=f"process {dead} on elsewhere"), RunDir(tmp_path):
            pass  # another host cannot be asked
        (tmp_path / ".lock").write_text("")
        with pytest.raises(RunLocked, match="another process"), RunDir(tmp_path):
            pass


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / ".tmp-step-00000001-99").mkdir(parents=True)
    (checkpoints / ".tmp-step-00000001-99" / "state.pt").write_bytes(b"half")
    (tmp_path / ".tmp-best.json-99").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    with RunDir(tmp_path):
        pass
    assert sorted(p.name for p in tmp_path.rglob("*")) == [".lock", "checkpoints", "notes.txt"]


def test_a_file_in_the_way_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(InputError, match="as a run directory"), RunDir(tmp_path / "run"):
        pass
