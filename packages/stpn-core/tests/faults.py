"""Breaking a process on purpose: children forked from the warm tests, system calls that fail."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

SYSTEM_CALLS = ("open", "mkdir", "write", "fsync", "rename", "replace", "unlink", "rmdir")


class Crash(BaseException):
    """Stands for the death of this process, where forking a child to die would take too long."""


class Counter:
    """An integer that a forked child writes and its parent reads."""

    def __init__(self, value: int = 0) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.set(value)

    def set(self, value: int) -> None:
        self._memory[:8] = struct.pack("q", value)

    def get(self) -> int:
        return struct.unpack("q", self._memory[:8])[0]


def fork(work: Callable[[], int | None], errors: Path | None = None) -> int:
    """Pid of a child, in a process group of its own, that exits with what `work` returns.

    An exception with an `exit_code` gives that code, as the `stpn` command does, any other 99. What
    the child says goes to `errors`. One thread: OpenMP's would not survive the fork.
    """
    torch.set_num_threads(1)
    pid = os.fork()
    if pid:
        return pid
    code: Any = 99
    try:
        os.setpgid(0, 0)
        sink = os.open(errors or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
        sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)
        try:
            code = work() or 0
        except Exception as error:
            traceback.print_exc()
            code = getattr(error, "exit_code", 99)
    finally:
        os._exit(code)


def wait(pid: int, seconds: float = 60.0) -> int:
    """Exit code of a child, negative if a signal ended it. A child that hangs is killed: -9999."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return -9999
        time.sleep(0.001)


def has_ended(pid: int) -> bool:
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


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Poll until true; False when the time is over."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.0005)
    return True


@contextmanager
def failing(call: int, how: str) -> Iterator[list[str]]:
    """Let system call number `call` (from 0) that changes the disk fail; yields the calls made.

    `how`: "die" kills this process before it; "crash" raises Crash, from here on no call reaches the
    disk, as after a death; "ENOSPC" and "EIO" raise that error. A write does half its work first.
    -1 never fails, for counting.
    """
    real = {name: getattr(os, name) for name in SYSTEM_CALLS}
    made: list[str] = []
    crashed = False

    def wrap(name: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal crashed
            if crashed:
                raise Crash
            if name == "open" and not args[1] & os.O_CREAT:
                return real[name](*args, **kwargs)
            made.append(name)
            if len(made) - 1 == call:
                if name == "write":
                    real["write"](args[0], args[1][: len(args[1]) // 2])
                if how == "die":
                    os.kill(os.getpid(), signal.SIGKILL)
                if how == "crash":
                    crashed = True
                    raise Crash
                raise OSError(getattr(errno, how), os.strerror(getattr(errno, how)))
            return real[name](*args, **kwargs)

        return wrapped

    for name in SYSTEM_CALLS:
        setattr(os, name, wrap(name))
    try:
        yield made
    finally:
        for name in SYSTEM_CALLS:
            setattr(os, name, real[name])
