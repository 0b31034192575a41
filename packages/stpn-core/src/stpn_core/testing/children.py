"""Child processes to break on purpose, forked from the warm tests: no import of torch for each."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch


class Counter:
    """An integer that a forked child writes and its parent reads."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def add(self) -> None:
        self._memory[:8] = struct.pack("q", self.get() + 1)

    def get(self) -> int:
        return struct.unpack("q", self._memory[:8])[0]


def fork(work: Callable[[], int | None], said: Path) -> int:
    """Pid of a child in a process group of its own that exits with what `work` returns.

    What it says goes to the file `said`. An exception gives exit code 99, SystemExit its own.
    """
    torch.set_num_threads(1)  # OpenMP's threads would not survive the fork
    gc.collect()  # nor those of video decoders, which their destructors wait for
    pid = os.fork()
    if pid:
        return pid
    code: Any = 99
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sink = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)  # type: ignore[misc]
        try:
            code = work() or 0
        except SystemExit as end:
            code = end.code
        except BaseException:
            traceback.print_exc()
    finally:
        os._exit(code if isinstance(code, int) else 99)


def wait(pid: int, seconds: float = 120.0) -> int:
    """Exit code of a child, negative if a signal ended it. A child that hangs is killed: -9999."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -9999
        time.sleep(0.002)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Poll until true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def ended(pid: int) -> bool:
    """Whether a child has ended; it can still be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def survivors(group: int) -> list[int]:
    """Pids of the living processes in a process group; zombies are not."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            if int(pgrp) == group and state not in "ZX":
                alive.append(int(stat.parent.name))
    return alive
