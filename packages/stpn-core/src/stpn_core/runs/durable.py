"""Writing so that a crash or a full disk leaves the old file or the new one, never a mixture.

The order is always the same: data into a temporary name in the same directory, fsync of the data,
one rename, fsync of the directory. All of it goes through `os`, so that a test can fail each step.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from stpn_core.errors import InputError, StpnError

TEMPORARY = ".tmp-"
"""Prefix of names that promise nothing: whatever bears it after a crash may be deleted."""


class HashedFile:
    """A new file, written front to back, that knows the sha256 of the bytes it was asked to write.

    The digest is of what was meant, not of what a later read returns, so a disk that writes
    something else is found out. Remembers the first OSError: `torch.save` hides it behind another.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._digest = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        view = memoryview(data).cast("B")
        try:
            done = 0
            while done < len(view):
                done += os.write(self._fd, view[done:])
        except OSError as error:
            self.error = self.error or error
            raise
        self._digest.update(view)
        self.size += len(view)
        return len(view)

    def flush(self) -> None:
        """Nothing is buffered."""

    def sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            self.error = self.error or error
            raise

    def close(self) -> None:
        os.close(self._fd)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def sync_path(path: Path) -> None:
    """fsync a directory (its names) or a file that someone else wrote (its data)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_new(path: Path, data: bytes) -> None:
    """Create `path` with `data`, on disk when this returns. The directory is not synced."""
    file = HashedFile(path)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` under `path`, in place of what was there, in one step.

    Raises StpnError if the disk refuses; the old file is intact then.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    try:
        write_new(temporary, data)
        os.replace(temporary, path)
        sync_path(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise StpnError(f"cannot write {path}: {error.strerror or error}") from error
        raise


def unfinished_file(out: Path, name: str) -> Path:
    """A name in the folder `out`, which is made, for what may not be finished.

    Raises InputError if the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror or error}") from error
    return out / f".{name}.{os.getpid()}.partial"


def remove_tree(path: Path) -> None:
    """Delete a directory so that a crash half-way never leaves half of it under its real name."""
    doomed = path.with_name(f"{TEMPORARY}old-{path.name}-{os.getpid()}")
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def temporary_names(directory: Path) -> Iterator[Path]:
    """What a killed writer left in `directory`."""
    if directory.is_dir():
        yield from directory.glob(f"{TEMPORARY}*")


def sweep(directory: Path) -> None:
    """Delete what a killed writer left. Only for whoever holds the lock."""
    for path in temporary_names(directory):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
