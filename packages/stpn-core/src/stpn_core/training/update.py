"""One optimiser step, as every task takes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stpn_core.training.config import OptimConfig, RunConfig
from stpn_core.training.distributed import World, peer_errors
from stpn_core.training.gradients import clip_gradients
from stpn_core.training.memory import memory_errors
from stpn_core.training.precision import autocast
from stpn_core.training.state import Training


class TrainingBatch(Protocol):
    """What a step asks of a batch; everything else is between the data and the loss."""

    @property
    def names(self) -> list[str]:
        """Of its samples, for messages."""

    @property
    def frames(self) -> Tensor:
        """(B,3,H,W)"""

    @property
    def support(self) -> Tensor:
        """(B,K,3,H,W)"""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> Any: ...


def take_step(
    training: Training[Any],
    loss_of: nn.Module,
    batches: Iterator[TrainingBatch],
    optim: OptimConfig,
    run: RunConfig,
    world: World,
    step: int,
) -> dict[str, float]:
    """The update from `step` to `step + 1`, over `optim.accumulate` batches; returns this rank's
    mean losses by name.

    loss_of: module from a batch on the device to losses by name, wrapped in
    DistributedDataParallel where there are several ranks. A step whose losses or gradients are not
    finite is left out (see `FiniteGuard`). Raises MemoryExhausted with the size of the batch, and
    WorkerDied if another rank is gone.
    """
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
            with autocast(run.precision, world.device):
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
