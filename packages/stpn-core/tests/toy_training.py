"""A whole training loop of a toy, written out with the parts of `stpn_core`: the pattern for tasks.

It has all that makes resuming hard: dropout, BatchNorm, AdamW, a schedule, an average of the
weights, shuffling, augmentation and data workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from stpn_core.runs import RunDir, resume_from, save_checkpoint
from stpn_core.training import (
    Ema,
    FiniteGuard,
    MetricsLog,
    StopFlag,
    autocast,
    capture_rng,
    clip_gradients,
    grad_scaler,
    ignore_signals,
    param_groups,
    restore_rng,
    seed_everything,
    set_lr,
    warmup_step_schedule,
)

SEED, SAMPLES, BATCH = 7, 40, 8


class Toy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(6, 16), nn.BatchNorm1d(16)
        self.drop, self.outer = nn.Dropout(0.3), nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.drop(self.norm(self.inner(x)).relu())).squeeze(-1)


class Points(Dataset):
    """Each sample is a function of (seed, epoch, index) alone, whichever worker makes it."""

    def __getitem__(self, key: tuple[int, int]) -> tuple[int, Tensor, Tensor]:
        epoch, index = key
        x = np.random.default_rng([SEED, index]).normal(size=6)
        x += 0.1 * np.random.default_rng([SEED, epoch, index]).normal(size=6)
        return index, torch.from_numpy(x.astype(np.float32)), torch.tensor(x.sum() > 0).float()


class Order(Sampler):
    """Batches of (epoch, index) from a position on: shuffled by (seed, epoch), without end."""

    def __init__(self, first_step: int) -> None:
        self.first_step = first_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        step, per_epoch = self.first_step, SAMPLES // BATCH
        while True:
            epoch, batch = divmod(step, per_epoch)
            order = np.random.default_rng([SEED, epoch]).permutation(SAMPLES)
            yield [(epoch, int(i)) for i in order[batch * BATCH : (batch + 1) * BATCH]]
            step += 1


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    return {"bce": nn.functional.binary_cross_entropy_with_logits(model(x), y)}


def warm_up() -> None:
    """Import what torch imports late, such as at the first optimiser step, before children fork."""
    model = Toy()
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(2, 6)).sum().backward()
    optimizer.step()


def train(
    out: Path,
    *,
    steps: int,
    resume: str = "auto",
    workers: int = 0,
    save_every: int = 25,
    with_rng: bool = True,
    on_step: Callable[[int], object] = lambda step: None,
    tamper: Callable[[int, Toy, Tensor], Tensor] = lambda step, model, x: x,
    losses_of: Callable[[nn.Module, Tensor, Tensor], dict[str, Tensor]] = loss_of,
) -> int:
    """Returns the exit code. `on_step(step)` after each step; `tamper` may spoil what goes in."""
    seed_everything(SEED)
    model = Toy()
    optimizer = torch.optim.AdamW(param_groups(model, 1e-2, 0.05))
    lr_at = warmup_step_schedule(1e-2, warmup_steps=20, milestones=(100, 300))
    scaler, ema, guard = grad_scaler("fp32"), Ema(model, 0.99), FiniteGuard(model)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "scaler": scaler}
    parts |= {"ema": ema, "guard": guard}

    with RunDir(out) as run, StopFlag() as stop:
        found = resume_from(run, resume)
        step = found.step if found else 0
        if found:
            for name, part in parts.items():
                part.load_state_dict(found.state[name])
            if with_rng:
                restore_rng(found.state["rng"])
        # Its own generator: a loader draws a seed when it starts, which would shift the global one.
        batches = DataLoader(
            Points(),
            batch_sampler=Order(step),
            num_workers=workers,
            worker_init_fn=ignore_signals,
            generator=torch.Generator(),
        )
        resumed_step = found.step if found else None
        with MetricsLog(run.path / "metrics.jsonl", resumed_step=resumed_step) as log:
            for ids, inputs, targets in batches:
                if step == steps:
                    break
                set_lr(optimizer, lr_at(step))
                guard.before_forward()
                x = tamper(step, model, inputs)
                with autocast("fp32"):
                    losses = losses_of(model, x, targets)
                scaler.scale(sum(losses.values())).backward()
                scaler.unscale_(optimizer)
                norm = clip_gradients(model.parameters(), 5.0)
                if guard.accept(losses, norm, step=step, ids=ids.tolist(), scaler=scaler):
                    scaler.step(optimizer)
                    ema.update(model)
                scaler.update()
                optimizer.zero_grad()
                step += 1
                log.write(step, loss=losses["bce"].item())
                on_step(step)
                # asked once: who leaves because of it has saved because of it
                stopping = bool(stop)
                if stopping or step % save_every == 0 or step == steps:
                    state = {name: part.state_dict() for name, part in parts.items()}
                    save_checkpoint(run, step, {**state, "rng": capture_rng()})
                if stopping:
                    return stop.exit_code
    return 0
