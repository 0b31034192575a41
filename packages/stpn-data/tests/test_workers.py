from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from clip_sources import FaultySource

from stpn_data import workers
from stpn_data.errors import DataError, WorkerDied
from stpn_data.loader import TrainingLoader, training_loader
from stpn_data.order import BatchOrder

DEATHS = {
    "SIGKILL": "was ended by SIGKILL, often the kernel's answer to too little memory",
    "SIGSEGV": "was ended by SIGSEGV, a crash in native code",
    "exit": "left with exit code 0",
}
STUCK = ("sleep", "SIGSTOP")


@pytest.fixture(autouse=True)
def light_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No image is decoded here, so the decoding library need not be loaded; and no orphans."""
    monkeypatch.setattr(workers, "PRELOAD", "stpn_data.workers")
    yield
    assert running() == []


def running() -> list[int]:
    """Process ids of the workers of all loaders."""
    children = multiprocessing.active_children()
    return [child.pid for child in children if child.name.startswith("stpn-data-worker")]


def loader_with(fault: str, timeout: float = 60.0, workers: int = 2) -> TrainingLoader:
    """Fails at the third sample of batch 5: the 23rd sample of the run."""
    at = BatchOrder(FaultySource().groups, 4, seed=1).batch(5)[2][1]
    source = FaultySource(fault=fault, at=at)
    return training_loader(source, 4, seed=1, workers=workers, timeout=timeout)


def take(loader: TrainingLoader, count: int) -> list[list[str]]:
    return [next(loader).names for _ in range(count)]


@pytest.mark.parametrize("fault", DEATHS)
def test_a_dead_worker_is_an_error_that_names_the_sample(fault: str) -> None:
    # the timeout is long: what is seen here is the death itself
    loader = loader_with(fault)
    with pytest.raises(WorkerDied) as caught:
        take(loader, 6)
    message = str(caught.value)
    assert f"{DEATHS[fault]} while loading clip-{loader.source.at} (epoch 0, sample" in message
    flight = message.split("in flight were ")[1]
    assert all(f"clip-{position} " in flight for _, position in loader.order.batch(5))
    assert caught.value.exit_code == 6
    assert running() == []


@pytest.mark.parametrize("fault", STUCK)
def test_a_stuck_worker_is_an_error_after_the_timeout(fault: str) -> None:
    loader = loader_with(fault, timeout=1.0)
    with pytest.raises(WorkerDied, match="gave no sign of life for 1 s while loading") as caught:
        take(loader, 6)
    assert f"while loading clip-{loader.source.at} " in str(caught.value)
    assert running() == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_exception_is_the_same_error_with_any_number_of_workers(workers: int) -> None:
    loader = loader_with("exception", workers=workers)
    with pytest.raises(WorkerDied) as caught:
        take(loader, 6)
    message = str(caught.value)
    assert message.startswith(f"loading clip-{loader.source.at} (epoch 0, sample ")
    assert "ZeroDivisionError: a bug in the data code" in message
    assert "clip_sources.py" in message  # where it was raised
    bad = loader_with("bad input", workers=workers)
    with pytest.raises(DataError, match=r"^000007\.jpg is damaged$"):
        take(bad, 6)


def test_without_a_fault_nothing_fails() -> None:
    """The control of the tests above: same source, same place, no fault."""
    with loader_with("", timeout=60) as loader:
        names = take(loader, 6)
        assert len(running()) == 2
    assert f"clip-{loader.source.at}" in names[5]


def test_an_error_comes_after_the_batches_before_it() -> None:
    loader = loader_with("SIGKILL")
    expected = take(loader_with("", workers=0), 4)
    assert take(loader, 4) == expected  # batch 5 is the other worker's next but one
    with pytest.raises(WorkerDied):
        take(loader, 2)


def test_sigterm_does_not_reach_workers_and_sigkill_does() -> None:
    with loader_with("") as loader:
        take(loader, 1)
        pids = running()
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        take(loader, 8)
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(WorkerDied, match="SIGKILL"):
            take(loader, 8)


def start_script(mode: str, start_method: str) -> tuple[subprocess.Popen[str], list[int]]:
    script = Path(__file__).with_name("loader_script.py")
    process = subprocess.Popen(
        [sys.executable, str(script), mode, start_method],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 2
    assert all(map(alive, pids))
    return process, pids


def alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def wait_until_gone(pids: list[int]) -> list[int]:
    """Those still there after a minute."""
    for _ in range(600):
        if not any(map(alive, pids)):
            break
        time.sleep(0.1)
    return [pid for pid in pids if alive(pid)]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize(
    ("mode", "start_method", "code"), [("stop", "forkserver", 143), ("unblocked", "fork", 6)]
)
def test_sigterm_to_the_group_lets_the_trainer_finish(
    mode: str, start_method: str, code: int
) -> None:
    """Mode "unblocked" is the control: there the signal takes the workers away."""
    process, pids = start_script(mode, start_method)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == code
    assert wait_until_gone(pids) == []
    process.stdout.close()  # type: ignore[union-attr]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_workers_leave_when_the_parent_is_killed() -> None:
    process, pids = start_script("stuck", "fork")
    process.kill()
    process.wait(60)
    assert wait_until_gone(pids) == []
    process.stdout.close()  # type: ignore[union-attr]
