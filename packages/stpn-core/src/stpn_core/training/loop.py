"""One training loop for every task, the same for one process and for many under torchrun.

A task says in a `Job` what is trained on what; nothing here knows what a batch or a loss is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from stpn_core.runs import RunDir, record_best
from stpn_core.training.config import OptimConfig, RunConfig
from stpn_core.training.device import requested_device
from stpn_core.training.distributed import (
    World,
    any_rank,
    broadcast_value,
    init_distributed,
    mean_over_ranks,
    shut_down,
)
from stpn_core.training.keeping import (
    Skips,
    is_due,
    logged_scores,
    open_log,
    save_step,
    told_at_the_end,
    total_steps,
)
from stpn_core.training.metrics_log import MetricsLog
from stpn_core.training.optimizer import set_lr
from stpn_core.training.pace import EvaluationStopped
from stpn_core.training.progress import Progress
from stpn_core.training.schedule import warmup_step_schedule
from stpn_core.training.signals import StopFlag
from stpn_core.training.state import Training
from stpn_core.training.update import TrainingBatch, take_step

_log = logging.getLogger(__name__)

ModelT = TypeVar("ModelT", bound=nn.Module)
Scores = Mapping[str, float]


@dataclass(frozen=True)
class Post:
    """Where a process stands in a run. Rank 0 alone has the directory."""

    world: World
    run: RunDir | None
    stop: StopFlag


class Batches(Protocol):
    """An endless iterator of batches, and what could not be used for them."""

    @property
    def skipped(self) -> Skips: ...

    @property
    def batches_per_epoch(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> TrainingBatch: ...


@dataclass(frozen=True)
class Job(Generic[ModelT]):
    """What a task trains, and how it loads, saves and validates.

    loss_of: module from a batch on the device to losses by name.
    open_batches: batches from the one of that number on, closed when training ends.
    write: writes a file with these weights, in the task's own format.
    validate: scores of the model as it is; asks now and then whether to stop, and raises
        EvaluationStopped if so. None: the recipe names no data to validate on.
    best: the score of which the highest decides the run's best checkpoint.
    shown: the scores that are named on the screen.
    """

    name: str
    optim: OptimConfig
    run: RunConfig
    training: Training[ModelT]
    loss_of: nn.Module
    open_batches: Callable[[int], contextlib.AbstractContextManager[Batches]]
    write: Callable[[Path, Mapping[str, Tensor]], None]
    validate: Callable[[Callable[[], bool]], Scores] | None
    best: str
    shown: tuple[str, ...]


def in_run(config: RunConfig, out: str | Path, train: Callable[[Post], int]) -> int:
    """Call `train` as one rank of a run in directory `out`, which it locks; returns its exit code.

    Errors carry their exit code (see stpn_core.errors).
    """
    world = init_distributed(requested_device(config.device), config.timeout)
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(RunDir(out)) if world.is_main else None
        stop = stack.enter_context(StopFlag())
        code = train(Post(world, run, stop))
    shut_down()
    return code


def train_steps(job: Job[Any], post: Post, state: Mapping[str, Any] | None) -> int:
    """All steps of `job` from `state`, or from the first; returns 0, or 128 + signal if told to stop.

    Saves and validates as the run's settings say, and before it stops.
    """
    training, optim, world = job.training, job.optim, post.world
    step = training.restore(dict(state), world) if state else 0
    with (
        job.open_batches(step * optim.accumulate) as batches,
        told_at_the_end(batches.skipped),
        open_log(post.run, step if state else None, tensorboard=job.run.tensorboard) as log,
    ):
        total = total_steps(optim, batches.batches_per_epoch)
        schedule = warmup_step_schedule(
            optim.lr,
            warmup_steps=optim.warmup_steps,
            warmup_ratio=optim.warmup_ratio,
            milestones=[round(share * total) for share in optim.drop_at],
        )
        if state:
            _log.info("continuing after step %d of %d", step, total)
            if not _validate(job, step, total, post, log):
                return post.stop.exit_code or 143
        with Progress(
            total, start=step, device=world.device, shown=world.is_main, label=job.name
        ) as bar:
            while step < total:
                set_lr(training.optimizer, schedule(step))
                known = len(batches.skipped.named)
                losses = take_step(training, job.loss_of, batches, optim, job.run, world, step)
                step += 1
                for entry in batches.skipped.named[known:]:
                    _log.warning("left out: %s", entry)
                skipped = batches.skipped.total * world.size
                means = mean_over_ranks(losses | {"skipped_clips": skipped})
                loss = sum(means[name] for name in losses)
                seconds = bar.advance(loss)
                if log is not None and is_due(job.run.log_every, step, total):
                    log.write(step, loss=loss, **means, lr=schedule(step - 1), seconds=seconds)
                # ranks agree before anyone leaves the loop: a collective needs all of them
                stopping = any_rank([bool(post.stop)])[0]
                if stopping or any(
                    is_due(every, step, total)
                    for every in (job.run.save_every, job.run.validate_every)
                ):
                    save_step(post.run, training, step, world, job.write, job.run.keep)
                if stopping or not _validate(job, step, total, post, log):
                    return post.stop.exit_code or 143
    return 0


def _validate(job: Job[Any], step: int, total: int, post: Post, log: MetricsLog | None) -> bool:
    """Validate the checkpoint of `step` if it is time and has not been done, and record the best.

    Comes after saving, so that neither a signal nor a fault in the data costs steps; a run that
    ended in between validates when it continues. Returns False if told to stop meanwhile.
    """
    if job.validate is None or not is_due(job.run.validate_every, step, total):
        return True
    scores: Scores | None = broadcast_value(logged_scores(post.run, step, job.best))
    if scores is None:
        ema = job.training.ema
        averaged = ema.applied(job.training.model) if ema else contextlib.nullcontext()
        try:
            with averaged:
                scores = job.validate(post.stop.__bool__)
        except EvaluationStopped:
            return False
        if log is not None:
            log.write(step, **{f"val/{name}": value for name, value in scores.items()})
        shown = ", ".join(f"{name} {scores[name]:.4f}" for name in job.shown)
        _log.info("step %d: %s", step, shown)
    if post.run is not None:
        record_best(post.run, step, job.best, scores[job.best])
    return True
