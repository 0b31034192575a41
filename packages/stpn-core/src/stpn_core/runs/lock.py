"""One writer per directory, by flock: the kernel frees it when the holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import weakref
from pathlib import Path

from stpn_core.errors import InputError, RunLocked

_HOLDER_WAIT = 0.5  # seconds a loser waits for the winner to write its name


class FileLock:
    """An exclusive lock on `path`, a file that stays when the lock is gone.

    Forked children (data workers) inherit the descriptor, and flock lives until the last copy is
    closed: an orphaned worker would hold a dead trainer's lock. So children close theirs at once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock or raise RunLocked, naming process and host of the holder.

        Raises InputError where the file system cannot lock.
        """
        if self._fd is not None:
            raise RuntimeError(f"{self.path} is already held by this object")
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise RunLocked(
                    f"{self.path.parent} is in use by {_holder(self.path)}; "
                    "wait for it, stop it, or choose another directory"
                ) from None
            raise InputError(
                f"{self.path}: this file system cannot lock files ({error.strerror}); "
                "put the run directory on one that can, so that two runs cannot mix"
            ) from error
        self._fd = fd
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode(), 0)
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def release(self) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            self._forget()

    def _forget(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(path: Path) -> str:
    """Name the holder; the file may still be empty, or name one that was killed, for a moment."""
    deadline = time.monotonic() + _HOLDER_WAIT
    while True:
        try:
            told = json.loads(path.read_text())
            pid, host = int(told["pid"]), str(told["host"])
        except (OSError, ValueError, KeyError, TypeError):
            name, certain = "another process", False
        else:
            name = f"process {pid} on {host}"
            certain = host != socket.gethostname() or Path(f"/proc/{pid}").exists()
        if certain or time.monotonic() > deadline:
            return name
        time.sleep(0.01)
