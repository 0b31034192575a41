"""Ranks talk without pickles; when one dies, all leave, soon and with an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.multiprocessing.spawn import ProcessContext

from stpn_core.errors import InputError
from stpn_core.training import (
    any_rank,
    barrier,
    broadcast_value,
    gather_values,
    init_distributed,
    is_main,
    mean_over_ranks,
)

from . import rank_toy
from .faults import fork, has_ended, survivors, until, wait
from .toy_training import warm_up

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def launch(out: Path, fault: str, timeout: float) -> int:
    """Pid of a child that runs two ranks under the agent that torchrun runs them under.

    The ranks are forked from it, which spares three imports of torch.
    """
    warm_up()

    def agent() -> int:
        if fault == "stop":  # the agent kills what does not heed SIGTERM for 30 s; 3 s do here
            join = ProcessContext.join
            ProcessContext.join = lambda self, timeout=None: join(self, timeout, 3.0)
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=2,
            run_id=out.name,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            monitor_interval=0.1,
            start_method="fork",
        )
        try:
            elastic_launch(config, rank_toy.work)(str(out), fault, timeout)
        except ChildFailedError:
            return 1
        return 0

    return fork(agent, out / "errors.txt")


def note(out: Path, rank: int) -> str:
    path = out / f"rank{rank}.txt"
    return path.read_text() if path.exists() else ""


def test_two_ranks_exchange_values_and_finish(tmp_path: Path) -> None:
    """The control of the faults below, too: without one, both ranks finish."""
    pid = launch(tmp_path, "none", 20)
    assert wait(pid) == 0, (tmp_path / "errors.txt").read_text()
    assert [note(tmp_path, rank) for rank in (0, 1)] == ["done", "done"]


@pytest.mark.parametrize("fault", ["kill", "raise", "leave", "skip", "stuck"])
def test_when_one_rank_fails_all_leave_with_an_error(tmp_path: Path, fault: str) -> None:
    """Killed, an exception, left early with exit code 0, a collective left out, a rank that hangs."""
    pid = launch(tmp_path, fault, timeout=3)
    assert wait(pid, seconds=40) == 1
    assert until(lambda: not survivors(pid), seconds=2)
    if fault in ("leave", "stuck"):  # otherwise the agent may end rank 0 before it noticed
        assert note(tmp_path, 0).startswith("6 rank 0 lost another rank")


def test_control_with_a_long_timeout_a_hanging_rank_holds_the_others(tmp_path: Path) -> None:
    pid = launch(tmp_path, "stuck", timeout=600)
    assert not until(lambda: has_ended(pid), seconds=6)
    assert len(survivors(pid)) == 3
    os.killpg(pid, signal.SIGKILL)
    wait(pid)


@pytest.mark.slow
def test_when_one_rank_is_stopped_all_leave_with_an_error(tmp_path: Path) -> None:
    pid = launch(tmp_path, "stop", timeout=8)
    assert wait(pid, seconds=60) == 1
    assert until(lambda: not survivors(pid), seconds=2)
    assert note(tmp_path, 0).startswith("6 rank 0 lost another rank")


def test_torchrun_itself_ends_when_a_rank_is_killed() -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, rank_toy.__file__, "kill"],
        capture_output=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode != 0
    assert b"SIGKILL" in done.stderr or b"Signal 9" in done.stderr


def test_alone_every_helper_is_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    world = init_distributed("cpu")
    assert (world.rank, world.size, world.is_main, world.device) == (
        0,
        1,
        True,
        torch.device("cpu"),
    )
    assert is_main()
    assert any_rank([True, False]) == [True, False]
    assert mean_over_ranks({"a": 1}) == {"a": 1.0}
    value = {"x": torch.ones(1)}
    assert gather_values(value)[0] is value
    assert broadcast_value(value) is value
    barrier()


def test_an_incomplete_environment_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(InputError, match="WORLD_SIZE=None"):
        init_distributed("cpu")
