"""Checkpoints of a run: saved whole or not at all, verified before use."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stpn_core.errors import InputError, StpnError
from stpn_core.runs.best import read_best
from stpn_core.runs.durable import (
    TEMPORARY,
    HashedFile,
    remove_tree,
    sync_path,
    write_new,
)
from stpn_core.runs.manifest import (
    MANIFEST,
    CheckpointDamaged,
    FileRecord,
    file_record,
    looks_complete,
    manifest_bytes,
    verify,
)
from stpn_core.runs.plain_state import check_plain, read_plain, write_plain
from stpn_core.runs.run_dir import RunDir

STATE = "state.pt"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunCheckpoint:
    """A verified checkpoint in memory, every tensor on the CPU."""

    step: int
    path: Path
    state: dict[str, Any]


def save_checkpoint(
    run: RunDir,
    step: int,
    state: dict[str, Any],
    *,
    files: Mapping[str, Callable[[Path], object]] | None = None,
    keep: int | None = 3,
) -> Path:
    """Save `state` as the checkpoint of `step`; then delete all but the last `keep` and the best.

    Args:
        run: locked by this process; rank 0 only, the other ranks wait at a barrier of the caller.
        state: tensors and plain values (see `check_plain`), nested in dicts and lists.
        files: further files by name, each written by a function that is given its path, such as
            `{"model.safetensors": lambda path: save_weights(path, weights, metadata)}`.
        keep: None keeps all.

    Raises:
        StpnError: the step is already there, or the disk refused; what was saved before is intact.
        NumericsError: a tensor holds NaN or infinity.
    """
    run.require_lock()
    if keep is not None and keep < 1:
        raise ValueError(f"keep must be at least 1, not {keep}")
    check_plain(state)
    target = run.checkpoint(step)
    if target.exists():
        raise StpnError(f"{target} exists and is never overwritten: is this run ahead of its step?")
    staged = run.checkpoints / f"{TEMPORARY}{target.name}-{os.getpid()}"
    try:
        os.mkdir(staged)
        records = {STATE: _write_state(staged / STATE, state)}
        for name, write in (files or {}).items():
            records[name] = _write_other(staged, name, write)
        write_new(staged / MANIFEST, manifest_bytes(step, records))
        sync_path(staged)
        os.rename(staged, target)
        sync_path(run.checkpoints)
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(staged)
        raise StpnError(
            f"saving {target} failed: {error.strerror or error}; earlier checkpoints are intact. "
            "Make room or choose another disk, then resume"
        ) from error
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(staged)
        raise
    _rotate(run, keep)
    return target


def load_checkpoint(run: RunDir, which: Literal["auto", "best"] | int) -> RunCheckpoint:
    """Load the newest complete checkpoint, the best one, or that of a step, after verifying it.

    Needs no lock. With "auto", warns about each damaged one it passes over.

    Raises:
        InputError: there is none, or the one that was named is missing or damaged (names the file).
    """
    if which == "auto":
        newest = latest_complete(run)
        if newest is None:
            raise InputError(f"{run.path} has no complete checkpoint; {_inventory(run)}")
        return _load(run, newest)
    if which == "best":
        best = read_best(run)
        if best is None:
            raise InputError(f"{run.path} has no best.json yet: nothing was validated in this run")
        return _load(run, best.step)
    return _load(run, which)


def latest_complete(run: RunDir) -> int | None:
    """Newest step whose files are all exactly what was saved; warns about each one passed over."""
    for step in reversed(run.steps()):
        try:
            verify(run.checkpoint(step), step)
        except CheckpointDamaged as error:
            _log.warning("passing over step %d: %s", step, error)
        else:
            return step
    return None


def _load(run: RunDir, step: int) -> RunCheckpoint:
    path = run.checkpoint(step)
    if not path.is_dir():
        raise InputError(f"{path} does not exist; {_inventory(run)}")
    verify(path, step)
    try:
        state = read_plain(str(path / STATE))
    except Exception as error:
        raise InputError(f"{path / STATE}: this version cannot read it: {error}") from error
    return RunCheckpoint(step, path, state)


def _inventory(run: RunDir) -> str:
    steps = run.steps()
    return f"there are steps {', '.join(map(str, steps))}" if steps else "there are no checkpoints"


def _write_state(path: Path, state: dict[str, Any]) -> FileRecord:
    file = HashedFile(path)
    try:
        write_plain(state, file)
        file.sync()
    except Exception as error:
        raise (file.error or error) from error
    finally:
        file.close()
    return FileRecord(file.size, file.sha256)


def _write_other(staged: Path, name: str, write: Callable[[Path], object]) -> FileRecord:
    if name != Path(name).name or name in (STATE, MANIFEST) or name.startswith(TEMPORARY):
        raise ValueError(f"{name!r} cannot be the name of a file in a checkpoint")
    path = staged / name
    write(path)
    sync_path(path)
    return file_record(path)


def _rotate(run: RunDir, keep: int | None) -> None:
    """Delete old complete checkpoints. Damaged ones are evidence: neither counted nor deleted."""
    if keep is None:
        return
    best = read_best(run)
    complete = [step for step in run.steps() if looks_complete(run.checkpoint(step), step)]
    for step in complete[:-keep]:
        if best is not None and step == best.step:
            continue
        path = run.checkpoint(step)
        try:
            remove_tree(path)
        except OSError as error:
            raise StpnError(
                f"deleting the old {path} failed: {error.strerror or error}; the new checkpoint is "
                "saved. See to the disk, then resume"
            ) from error
