"""A folder that appears whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stpn_data.errors import DataError
from stpn_data.synthesize.record import FILE

LOCK = ".lock"


@contextmanager
def staged(out: Path, overwrite: bool) -> Iterator[Path]:
    """A fresh folder beside `out` that takes its name when the block ends without an exception.

    Otherwise it is removed and `out` is as it was. What a killed process left behind is swept by the
    next one; two at a time are refused.

    Raises DataError if `out` is not a folder, holds something (unless `overwrite`, and then only
    synthetic data is replaced), or is being written by another process.
    """
    out = Path(os.path.abspath(out))
    _check_replaceable(out, overwrite)
    stage = out.parent / f".{out.name}.partial"
    old = out.parent / f".{out.name}.old"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock = _claim(stage, out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written: {error}") from None
    try:
        yield stage
        os.sync()  # one call for thousands of files
        _check_replaceable(out, overwrite)
        (stage / LOCK).unlink()
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
            out.rename(old)
        stage.rename(out)
        _settle(out.parent)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(stage, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _settle(folder: Path) -> None:
    """The new name is on the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_replaceable(out: Path, overwrite: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise DataError(f"{out}: is not a folder; name a new or empty one")
    if not any(out.iterdir()):
        return
    if not overwrite:
        raise DataError(f"{out}: not empty; name a new folder, or replace this with --overwrite")
    if not (out / FILE).is_file():
        raise DataError(
            f"{out}: holds no {FILE}, so it is not synthetic data and --overwrite leaves it alone"
        )


def _claim(stage: Path, out: Path) -> int:
    """Make the stage afresh and lock it; returns the open lock."""
    while True:
        stage.mkdir(exist_ok=True)
        lock = os.open(stage / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise DataError(f"{out}: another process is writing it ({stage})") from None
        # The other one may have finished between our open and our lock: then the file is gone.
        try:
            if os.stat(stage / LOCK).st_ino == os.fstat(lock).st_ino:
                break
        except FileNotFoundError:
            pass
        os.close(lock)
    for leftover in stage.iterdir():
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != LOCK:
            leftover.unlink()
    return lock
