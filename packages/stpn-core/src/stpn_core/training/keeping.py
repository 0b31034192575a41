"""What a training loop keeps in its run directory, and where it goes on."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from stpn_core.runs import RunDir, load_config, resume_from, save_checkpoint, save_config
from stpn_core.runs.usable_weights import MODEL_FILE
from stpn_core.training.config import OptimConfig
from stpn_core.training.distributed import World, barrier
from stpn_core.training.metrics_log import MetricsLog, read_metrics
from stpn_core.training.state import Training, check_same_run

_log = logging.getLogger(__name__)
LOG_FILE = "metrics.jsonl"


def continue_run(
    run: RunDir | None, recipe: Any, resume: str, *, may_change: Collection[str]
) -> dict[str, Any] | None:
    """The state to continue from, None for a new run and on ranks without the directory.

    Saves `recipe`, a dataclass, as the run's configuration. resume: as in `resume_from`;
    may_change: as in `check_same_run`, which is asked first.
    """
    if run is None:
        return None
    saved = load_config(run)
    if saved is not None and run.steps():
        check_same_run(saved, recipe, may_change)
    checkpoint = resume_from(run, resume)
    save_config(run, json.loads(json.dumps(dataclasses.asdict(recipe))))
    return checkpoint.state if checkpoint else None


def open_log(
    run: RunDir | None, resumed: int | None, *, tensorboard: bool
) -> contextlib.AbstractContextManager[MetricsLog | None]:
    """The log of a run; None on ranks without the directory. resumed: step it continues after."""
    if run is None:
        return contextlib.nullcontext()
    return MetricsLog(run.path / LOG_FILE, resumed_step=resumed, tensorboard=tensorboard)


def total_steps(optim: OptimConfig, batches_per_epoch: int) -> int:
    """Optimiser steps of the whole run."""
    epoch_steps = max(1, batches_per_epoch // optim.accumulate)
    return optim.steps or math.ceil(optim.epochs * epoch_steps)


def is_due(every: int, step: int, total: int) -> bool:
    """Whether what is done each `every` steps, and at the end, is to be done after `step`."""
    return step == total or (every > 0 and step % every == 0)


class Skips(Protocol):
    """What could not be used: how much by reason, the first few of each reason by name."""

    named: list[str]

    @property
    def by_reason(self) -> Mapping[str, int]: ...

    @property
    def total(self) -> int: ...


@contextlib.contextmanager
def told_at_the_end(skips: Skips) -> Iterator[None]:
    """Say in the end what could not be used, by reason."""
    try:
        yield
    finally:
        if skips.total:
            counts = ", ".join(f"{count} × {reason}" for reason, count in skips.by_reason.items())
            _log.info("clips and draws left out: %s", counts)


def save_step(
    run: RunDir | None,
    training: Training[Any],
    step: int,
    world: World,
    write: Callable[[Path, Mapping[str, Tensor]], None],
    keep: int,
) -> None:
    """Save a checkpoint with the weights to use beside it: the averaged ones if there are.

    Every rank must call it. write: writes a file with these weights, in the task's own format.
    """
    state = training.state(step, world)
    if run is not None:
        usable = state["ema"]["average"] if training.ema else state["model"]
        weights = {name: value.detach().cpu() for name, value in usable.items()}
        files: dict[str, Callable[[Path], object]] = {MODEL_FILE: lambda path: write(path, weights)}
        save_checkpoint(run, step, state, files=files, keep=keep)
    barrier()


def logged_scores(run: RunDir | None, step: int, metric: str) -> dict[str, float] | None:
    """What validation of `step` gave, if it was done: the `val/` values of the line that has
    `val/{metric}`, without that prefix. None on ranks without the directory."""
    lines = read_metrics(run.path / LOG_FILE) if run is not None else []
    for line in lines:
        if line["step"] == step and f"val/{metric}" in line:
            return {key[4:]: value for key, value in line.items() if key.startswith("val/")}
    return None
