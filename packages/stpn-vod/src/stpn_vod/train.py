"""Training: one visible loop, the same for one process and for many under torchrun."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from stpn_core.runs import RunDir, record_best, resume_from, save_checkpoint, save_config
from stpn_core.runs.config import load_config
from stpn_core.training import (
    Ema,
    FiniteGuard,
    MetricsLog,
    Progress,
    StopFlag,
    World,
    any_rank,
    autocast,
    barrier,
    broadcast_value,
    clip_gradients,
    grad_scaler,
    init_distributed,
    mean_over_ranks,
    memory_errors,
    param_groups,
    peer_errors,
    seed_everything,
    set_lr,
    shut_down,
    warmup_step_schedule,
)  # fmt: skip
from stpn_data.batch import Batch, normalise
from stpn_data.index import VideoIndex
from stpn_data.loader import training_loader
from stpn_vod.config import Recipe
from stpn_vod.detector import FasterRCNN
from stpn_vod.evaluate import evaluate
from stpn_vod.model_file import MODEL_FILE
from stpn_vod.run_state import Training, check_same_run
from stpn_vod.start import (
    open_split,
    starting_model,
    training_clips,
    training_index,
    with_classes_of,
)
from stpn_vod.weights import save_detector

_log = logging.getLogger(__name__)


def train(recipe: Recipe, out: str | Path, *, resume: str = "auto") -> int:
    """Train `recipe` in run directory `out`; returns 0, or 128 + signal if it was told to stop.

    resume: "auto" continues a run that is there, a step number continues from that checkpoint,
    "none" refuses a directory that holds one. Errors carry their exit code (see stpn_core.errors).
    """
    device = None if recipe.run.device == "auto" else recipe.run.device
    world = init_distributed(device, recipe.run.timeout)
    with contextlib.ExitStack() as stack:
        run = stack.enter_context(RunDir(out)) if world.is_main else None
        stop = stack.enter_context(StopFlag())
        code = _train(recipe, run, world, stop, resume)
    shut_down()
    return code


def _train(recipe: Recipe, run: RunDir | None, world: World, stop: StopFlag, resume: str) -> int:
    index = training_index(recipe.data)
    recipe = with_classes_of(recipe, index)
    config = json.loads(json.dumps(dataclasses.asdict(recipe)))
    checkpoint = None
    if run is not None:
        checkpoint = resume_from(run, resume)
        if checkpoint is not None:
            check_same_run(load_config(run) or config, config)
        save_config(run, config)
    state = broadcast_value(checkpoint.state if checkpoint else None)

    training = _prepare(recipe, world)
    step = training.restore(state, world) if state else 0
    loss_of = _loss_module(training.model, world)
    optim = recipe.optim
    with (
        training_loader(
            training_clips(index, recipe),
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
        bar = Progress(
            total, start=step, device=world.device, shown=world.is_main, label=recipe.name
        )
        with bar:
            while step < total:
                set_lr(training.optimizer, schedule(step))
                losses = _update(training, loss_of, batches, recipe, world, step)
                step += 1
                total_loss = sum(losses.values())
                seconds = bar.advance(total_loss)
                if log is not None and (step % recipe.run.log_every == 0 or step == total):
                    log.write(
                        step, loss=total_loss, **losses, lr=schedule(step - 1), seconds=seconds
                    )
                # ranks agree before anyone leaves the loop: a collective needs all of them
                stopping = any_rank([bool(stop)])[0]
                if (
                    stopping
                    or step == total
                    or step % recipe.run.save_every == 0
                    or _validates(recipe, step)
                ):
                    _save(training, recipe, index, run, world, log, step, total, stopping)
                if stopping:
                    return stop.exit_code or 143
    return 0


def _update(
    training: Training, loss_of: nn.Module, batches: Any, recipe: Recipe, world: World, step: int
) -> dict[str, float]:
    """One optimiser step over `accumulate` batches; returns the mean losses."""
    optim = recipe.optim
    training.model.train()
    training.guard.before_forward()
    sums: dict[str, float] = {}
    names: list[str] = []
    for part in range(optim.accumulate):
        batch = next(batches)
        names += batch.names
        last = part == optim.accumulate - 1
        waiting = loss_of.no_sync() if world.size > 1 and not last else contextlib.nullcontext()
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
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / optim.accumulate
    training.scaler.unscale_(training.optimizer)
    norm = clip_gradients(training.model.parameters(), optim.clip_norm or None)
    if training.guard.accept(sums, norm, step=step, ids=names, scaler=training.scaler):
        training.scaler.step(training.optimizer)
        if training.ema is not None:
            training.ema.update(training.model)
    training.scaler.update()
    training.optimizer.zero_grad()
    return mean_over_ranks(sums)


def _prepare(recipe: Recipe, world: World) -> Training:
    model = starting_model(recipe).to(world.device)
    seed_everything(recipe.run.seed, world.rank)  # from here on ranks draw differently
    optim = recipe.optim
    multipliers = {}
    if model.stpn.predictor is not None and optim.predictor_lr != 1:
        multipliers["stpn.predictor"] = optim.predictor_lr
    groups = param_groups(
        model,
        optim.lr,
        optim.weight_decay,
        no_bias_decay=optim.no_bias_decay,
        lr_multipliers=multipliers,
    )
    return Training(
        model,
        torch.optim.AdamW(groups, lr=optim.lr),
        grad_scaler(recipe.run.precision, world.device),
        FiniteGuard(model),
        Ema(model, optim.ema) if optim.ema else None,
    )


class _Loss(nn.Module):
    """The detector's loss on a batch, as a forward that DistributedDataParallel can wrap."""

    def __init__(self, model: FasterRCNN) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        prompted = self.model.stpn.predictor is not None
        return self.model.loss(
            normalise(batch.frames, batch.sizes),
            batch.sizes,
            batch.boxes,
            batch.labels,
            support=normalise(batch.support, batch.sizes) if prompted else None,
            valid=batch.valid if prompted else None,
            support_labels=batch.support_labels,
        )


def _loss_module(model: FasterRCNN | nn.Module, world: World) -> nn.Module:
    module = _Loss(model)  # type: ignore[arg-type]
    if world.size == 1:
        return module
    devices = [world.device] if world.device.type == "cuda" else None
    # A prompt head of deep layers, or of a batch without objects, may have no part in a loss.
    return DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)


def _open_log(recipe: Recipe, run: RunDir | None, resumed: int | None) -> Any:
    if run is None:
        return contextlib.nullcontext()
    return MetricsLog(
        run.path / "metrics.jsonl", resumed_step=resumed, tensorboard=recipe.run.tensorboard
    )


def _validates(recipe: Recipe, step: int) -> bool:
    return bool(recipe.run.validate_every) and step % recipe.run.validate_every == 0


def _save(
    training: Training, recipe: Recipe, index: VideoIndex, run: RunDir | None, world: World,
    log: MetricsLog | None, step: int, total: int, stopping: bool,
) -> None:  # fmt: skip
    """Validate if it is time, then save a checkpoint that holds the result."""
    scores: dict[str, float] = {}
    model = training.model
    averaged = training.ema.applied(model) if training.ema else contextlib.nullcontext()
    with averaged:
        if not stopping and (_validates(recipe, step) or step == total):
            validation = open_split(recipe.data, recipe.data.val_split)
            scores = evaluate(model, validation, recipe.eval, world, precision=recipe.run.precision)  # type: ignore[arg-type]
        weights = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    state = training.state(step, world) | {"scores": scores}
    if run is not None:
        write = lambda path: save_detector(path, weights, recipe.model, index.classes)  # noqa: E731
        save_checkpoint(run, step, state, files={MODEL_FILE: write}, keep=recipe.run.keep)
        if scores and log is not None:
            log.write(step, **{f"val/{name}": value for name, value in scores.items()})
            record_best(run, step, "AP", scores["AP"])
            _log.info("step %d: AP %.4f, AP50 %.4f", step, scores["AP"], scores["AP50"])
    barrier()
