"""Training: one visible loop, the same for one process and for many under torchrun."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from stpn_core.runs import RunDir, record_best
from stpn_core.training import (
    EvaluationStopped,
    MetricsLog,
    Progress,
    StopFlag,
    Training,
    World,
    any_rank,
    broadcast_value,
    continue_run,
    init_distributed,
    is_due,
    logged_scores,
    mean_over_ranks,
    name_skips,
    open_log,
    requested_device,
    save_step,
    set_lr,
    shut_down,
    take_step,
    total_steps,
    warmup_step_schedule,
)
from stpn_data.index import VideoIndex
from stpn_data.loader import training_loader
from stpn_vod.batch_loss import loss_module
from stpn_vod.build import Detector
from stpn_vod.config import Recipe
from stpn_vod.config_checks import check_recipe
from stpn_vod.evaluate import evaluate
from stpn_vod.run_state import MAY_CHANGE, prepare
from stpn_vod.start import training_clips, training_index, validation_index, with_classes_of
from stpn_vod.weights import save_detector

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Post:
    """Where a process stands in a run. Rank 0 alone has the directory and the log."""

    world: World
    run: RunDir | None
    log: MetricsLog | None
    stop: StopFlag
    total: int  # steps of the whole run


def train(recipe: Recipe, out: str | Path, *, resume: str = "auto") -> int:
    """Train `recipe` in run directory `out`; returns 0, or 128 + signal if it was told to stop.

    resume: "auto" continues a run that is there, a step number continues from that checkpoint,
    "none" refuses a directory that holds one. Errors carry their exit code (see stpn_core.errors).
    """
    check_recipe(recipe)
    world = init_distributed(requested_device(recipe.run.device), recipe.run.timeout)
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(RunDir(out)) if world.is_main else None
        stop = stack.enter_context(StopFlag())
        code = _train(recipe, run, world, stop, resume)
    shut_down()
    return code


def _train(recipe: Recipe, run: RunDir | None, world: World, stop: StopFlag, resume: str) -> int:
    index = training_index(recipe.data)
    recipe = with_classes_of(recipe, index)
    validation = validation_index(recipe, index.classes)
    clips = training_clips(index, recipe)
    state = broadcast_value(continue_run(run, recipe, resume, may_change=MAY_CHANGE))
    training = prepare(recipe, world, len(clips), resumed=state is not None)
    step = training.restore(state, world) if state else 0
    loss_of = loss_module(training.model, world)
    optim = recipe.optim
    with (
        training_loader(
            clips,
            optim.batch_size,
            seed=recipe.run.seed,
            rank=world.rank,
            world_size=world.size,
            workers=recipe.data.workers,
            start_batch=step * optim.accumulate,
            group_by_aspect=recipe.data.group_by_aspect,
            timeout=recipe.data.worker_timeout,
            divisor=recipe.model.pad_to,
        ) as batches,
        open_log(run, step if state else None, tensorboard=recipe.run.tensorboard) as log,
    ):
        total = total_steps(optim, batches.batches_per_epoch)
        schedule = warmup_step_schedule(
            optim.lr,
            warmup_steps=optim.warmup_steps,
            warmup_ratio=optim.warmup_ratio,
            milestones=[round(share * total) for share in optim.drop_at],
        )
        post = _Post(world, run, log, stop, total)
        if state:
            _log.info("continuing after step %d of %d", step, total)
            if not _validate(training, recipe, validation, step, post):
                return stop.exit_code or 143
        bar = Progress(
            total, start=step, device=world.device, shown=world.is_main, label=recipe.name
        )
        with bar:
            while step < total:
                set_lr(training.optimizer, schedule(step))
                known = len(batches.skipped)
                losses = take_step(training, loss_of, batches, optim, recipe.run, world, step)
                step += 1
                name_skips(batches.skipped, known)
                skipped = len(batches.skipped) * world.size
                means = mean_over_ranks(losses | {"skipped_clips": skipped})
                loss = sum(means[name] for name in losses)
                seconds = bar.advance(loss)
                if log is not None and is_due(recipe.run.log_every, step, total):
                    log.write(step, loss=loss, **means, lr=schedule(step - 1), seconds=seconds)
                # ranks agree before anyone leaves the loop: a collective needs all of them
                stopping = any_rank([bool(stop)])[0]
                if stopping or any(
                    is_due(every, step, total)
                    for every in (recipe.run.save_every, recipe.run.validate_every)
                ):
                    _save(training, recipe, index.classes, step, post)
                if stopping or not _validate(training, recipe, validation, step, post):
                    return stop.exit_code or 143
    return 0


def _save(
    training: Training[Detector], recipe: Recipe, classes: Sequence[str], step: int, post: _Post
) -> None:
    """Save a checkpoint with the weights to use beside it: the averaged ones if there are."""

    def write(path: Path, weights: Mapping[str, Tensor]) -> None:
        save_detector(path, weights, recipe.model, classes)

    save_step(post.run, training, step, post.world, write, recipe.run.keep)


def _validate(
    training: Training[Detector], recipe: Recipe, index: VideoIndex | None, step: int, post: _Post
) -> bool:
    """Validate the checkpoint of `step` if it is time and has not been done, and record the best.

    Comes after saving, so that neither a signal nor a fault in the data costs steps; a run that
    ended in between validates when it continues. Returns False if told to stop meanwhile.
    """
    if index is None or not is_due(recipe.run.validate_every, step, post.total):
        return True
    scores = broadcast_value(logged_scores(post.run, step, "AP"))
    if scores is None:
        averaged = (
            training.ema.applied(training.model) if training.ema else contextlib.nullcontext()
        )
        try:
            with averaged:
                scores = evaluate(
                    training.model,
                    index,
                    recipe.eval,
                    post.world,
                    precision=recipe.run.precision,
                    stop=post.stop.__bool__,
                )
        except EvaluationStopped:
            return False
        if post.log is not None:
            post.log.write(step, **{f"val/{name}": value for name, value in scores.items()})
        _log.info("step %d: AP %.4f, AP50 %.4f", step, scores["AP"], scores["AP50"])
    if post.run is not None:
        record_best(post.run, step, "AP", scores["AP"])
    return True
