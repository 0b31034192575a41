"""Training: one visible loop, the same for one process and for many under torchrun."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stpn_core.runs import (
    RunDir,
    load_config,
    record_best,
    resume_from,
    save_checkpoint,
    save_config,
)
from stpn_core.training import (
    MetricsLog,
    Progress,
    StopFlag,
    World,
    any_rank,
    autocast,
    barrier,
    broadcast_value,
    clip_gradients,
    init_distributed,
    mean_over_ranks,
    memory_errors,
    peer_errors,
    read_metrics,
    set_lr,
    shut_down,
    warmup_step_schedule,
)
from stpn_data.index import VideoIndex
from stpn_data.loader import TrainingLoader, training_loader
from stpn_vod.batch_loss import loss_module
from stpn_vod.config import Recipe
from stpn_vod.config_checks import check_recipe
from stpn_vod.device import requested_device
from stpn_vod.evaluate import EvaluationStopped, evaluate
from stpn_vod.model_file import MODEL_FILE
from stpn_vod.run_state import Training, check_same_run, prepare
from stpn_vod.start import training_clips, training_index, validation_index, with_classes_of
from stpn_vod.weights import save_detector

_log = logging.getLogger(__name__)
_SKIPS_NAMED = 5  # clips that could not be read; further ones are only counted


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
    state = broadcast_value(_resume(run, recipe, resume))
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
        ) as batches,
        _open_log(recipe, run, step if state else None) as log,
    ):
        epoch_steps = max(1, batches.batches_per_epoch // optim.accumulate)
        total = optim.steps or math.ceil(optim.epochs * epoch_steps)
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
                losses = _update(training, loss_of, batches, recipe, world, step)
                step += 1
                _name_skips(batches.skipped, known)
                skipped = len(batches.skipped) * world.size
                means = mean_over_ranks(losses | {"skipped_clips": skipped})
                loss = sum(means[name] for name in losses)
                seconds = bar.advance(loss)
                if log is not None and _is_due(recipe.run.log_every, step, total):
                    log.write(step, loss=loss, **means, lr=schedule(step - 1), seconds=seconds)
                # ranks agree before anyone leaves the loop: a collective needs all of them
                stopping = any_rank([bool(stop)])[0]
                if stopping or any(
                    _is_due(every, step, total)
                    for every in (recipe.run.save_every, recipe.run.validate_every)
                ):
                    _save(training, recipe, index.classes, step, post)
                if stopping or not _validate(training, recipe, validation, step, post):
                    return stop.exit_code or 143
    return 0


def _update(
    training: Training,
    loss_of: nn.Module,
    batches: TrainingLoader,
    recipe: Recipe,
    world: World,
    step: int,
) -> dict[str, float]:
    """One optimiser step over `accumulate` batches; returns this rank's mean losses."""
    optim = recipe.optim
    training.model.train()
    training.guard.before_forward()
    sums: dict[str, Tensor] = {}
    names: list[str] = []
    for part in range(optim.accumulate):
        batch = next(batches)
        names += batch.names
        last = part == optim.accumulate - 1
        waiting = contextlib.nullcontext() if world.size == 1 or last else loss_of.no_sync()  # type: ignore[operator]
        height, width = batch.frames.shape[-2:]
        with (
            memory_errors(size=(height, width), support=batch.support.shape[1], batch=len(batch)),
            peer_errors(),
            waiting,
        ):
            with autocast(recipe.run.precision, world.device):
                losses: dict[str, Tensor] = loss_of(batch.to(world.device))
            loss = torch.stack(list(losses.values())).sum() / optim.accumulate
            training.scaler.scale(loss).backward()
        for name, value in losses.items():
            sums[name] = sums.get(name, 0) + value.detach() / optim.accumulate
    training.scaler.unscale_(training.optimizer)
    norm = clip_gradients(training.model.parameters(), optim.clip_norm or None)
    means = dict(zip(sums, torch.stack(list(sums.values())).tolist(), strict=True))
    if training.guard.accept(means, norm, step=step, ids=names, scaler=training.scaler):
        training.scaler.step(training.optimizer)
        if training.ema is not None:
            training.ema.update(training.model)
    training.scaler.update()
    training.optimizer.zero_grad()
    return means


def _resume(run: RunDir | None, recipe: Recipe, resume: str) -> dict[str, Any] | None:
    """The state to continue from, None for a new run and on ranks without the directory."""
    if run is None:
        return None
    saved = load_config(run)
    if saved is not None and run.steps():
        check_same_run(saved, recipe)
    checkpoint = resume_from(run, resume)
    save_config(run, json.loads(json.dumps(dataclasses.asdict(recipe))))
    return checkpoint.state if checkpoint else None


def _open_log(
    recipe: Recipe, run: RunDir | None, resumed: int | None
) -> contextlib.AbstractContextManager[MetricsLog | None]:
    if run is None:
        return contextlib.nullcontext()
    return MetricsLog(
        run.path / "metrics.jsonl", resumed_step=resumed, tensorboard=recipe.run.tensorboard
    )


def _is_due(every: int, step: int, total: int) -> bool:
    return step == total or (every > 0 and step % every == 0)


def _name_skips(skipped: Sequence[str], known: int) -> None:
    for clip in skipped[known:_SKIPS_NAMED]:
        _log.warning("clip left out: %s", clip)
    if known < _SKIPS_NAMED <= len(skipped):
        _log.warning("further clips that cannot be read are counted in metrics.jsonl only")


def _save(
    training: Training, recipe: Recipe, classes: Sequence[str], step: int, post: _Post
) -> None:
    """Save a checkpoint with the weights to use beside it: the averaged ones if there are."""
    state = training.state(step, post.world)
    if post.run is not None:
        usable = state["ema"]["average"] if training.ema else state["model"]
        weights = {name: value.detach().cpu() for name, value in usable.items()}

        def write(path: Path) -> None:
            save_detector(path, weights, recipe.model, classes)

        save_checkpoint(post.run, step, state, files={MODEL_FILE: write}, keep=recipe.run.keep)
    barrier()


def _validate(
    training: Training, recipe: Recipe, index: VideoIndex | None, step: int, post: _Post
) -> bool:
    """Validate the checkpoint of `step` if it is time and has not been done, and record the best.

    Comes after saving, so that neither a signal nor a fault in the data costs steps; a run that
    ended in between validates when it continues. Returns False if told to stop meanwhile.
    """
    if index is None or not _is_due(recipe.run.validate_every, step, post.total):
        return True
    scores = broadcast_value(_logged_scores(post.run, step))
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


def _logged_scores(run: RunDir | None, step: int) -> dict[str, float] | None:
    """What validation of `step` gave, if it was done."""
    lines = read_metrics(run.path / "metrics.jsonl") if run is not None else []
    for line in lines:
        if line["step"] == step and "val/AP" in line:
            return {key[4:]: value for key, value in line.items() if key.startswith("val/")}
    return None
