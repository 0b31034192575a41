"""Where a training run continues, and what it leaves behind when it goes back."""

from __future__ import annotations

import logging
import os

from stpn_core.errors import InputError
from stpn_core.runs.best import read_best
from stpn_core.runs.checkpoint import RunCheckpoint, load_checkpoint
from stpn_core.runs.durable import sync_path
from stpn_core.runs.run_dir import RunDir

_log = logging.getLogger(__name__)


def resume_from(run: RunDir, which: str | int) -> RunCheckpoint | None:
    """Start or continue training in `run`, which this process must hold.

    Args:
        which: "auto": the newest complete checkpoint, with a warning for each damaged one passed
            over, or None in a run that has none yet. A step (int or digits): exactly that one.
            "none": start afresh, in a directory without checkpoints only.

    Checkpoints later than the one returned are moved to `checkpoints/set-aside/`: training will
    reach their steps again and must not overwrite them. A best step among them is forgotten.

    Raises:
        InputError: the named step is missing or damaged (names the file); every checkpoint is
            damaged; "none" was asked where there are checkpoints. Never a silent fresh start.
    """
    run.require_lock()
    choice = _choice(which)
    steps = run.steps()
    if choice == "none" or (choice == "auto" and not steps):
        if steps:
            raise InputError(
                f"{run.path} already holds checkpoints up to step {steps[-1]}: "
                "pass --resume auto to continue it, or choose another directory"
            )
        return None
    checkpoint = load_checkpoint(run, choice)  # type: ignore[arg-type]  # "auto" or an int here
    later = [step for step in steps if step > checkpoint.step]
    for step in later:
        _set_aside(run, step)
    if later:
        _forget_best_after(run, checkpoint.step)
    return checkpoint


def _choice(which: str | int) -> str | int:
    if which in ("auto", "none"):
        return which
    try:
        step = int(which)
        if step >= 0:
            return step
    except ValueError:
        pass
    raise InputError(f"--resume {which}: say auto, none or the number of a step")


def _set_aside(run: RunDir, step: int) -> None:
    shelf = run.checkpoints / "set-aside"
    shelf.mkdir(exist_ok=True)
    source = run.checkpoint(step)
    target, copy = shelf / source.name, 1
    while target.exists():
        copy += 1
        target = shelf / f"{source.name}-{copy}"
    os.rename(source, target)
    sync_path(shelf)
    sync_path(run.checkpoints)
    _log.warning("step %d lies ahead of where this run resumes: moved to %s", step, target)


def _forget_best_after(run: RunDir, step: int) -> None:
    best = read_best(run)
    if best is not None and best.step > step:
        (run.path / "best.json").unlink()
        sync_path(run.path)
        _log.warning("the best step %d was set aside: the best is sought anew", best.step)
