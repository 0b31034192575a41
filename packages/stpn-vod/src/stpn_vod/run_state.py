"""What a checkpoint of a training run holds, and how it is put back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stpn_core.errors import InputError
from stpn_core.training import (
    Ema,
    FiniteGuard,
    World,
    capture_rng,
    gather_values,
    grad_scaler,
    param_groups,
    restore_rng,
    seed_everything,
)
from stpn_vod.build import Detector, build_detector
from stpn_vod.config import Recipe
from stpn_vod.start import starting_model


@dataclass(frozen=True, eq=False)
class Training:
    """The parts of a run that change while it trains. clips: number of clips in an epoch."""

    model: Detector
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    guard: FiniteGuard
    ema: Ema | None
    clips: int

    def state(self, step: int, world: World) -> dict[str, Any]:
        """Everything to save after `step`. Every rank must call it: each has random numbers of its
        own."""
        return {
            "step": step,
            "world_size": world.size,
            "clips": self.clips,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "guard": self.guard.state_dict(),
            "ema": self.ema.state_dict() if self.ema else None,
            "rng": gather_values(capture_rng()),
        }

    def restore(self, state: Mapping[str, Any], world: World) -> int:
        """Put everything back; returns the step. Raises InputError if the run was of another kind."""
        if state["world_size"] != world.size:
            raise InputError(
                f"this run was trained by {state['world_size']} processes and {world.size} are here; "
                "an exact continuation needs the same number. Start a new run from its weights "
                "with --init otherwise"
            )
        if state["clips"] != self.clips:
            raise InputError(
                f"this run was trained on {state['clips']} clips and the data now has {self.clips}: "
                "restore the data, or start a new run from its weights with --init"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.guard.load_state_dict(state["guard"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        restore_rng(state["rng"][world.rank])
        return int(state["step"])


def prepare(recipe: Recipe, world: World, clips: int, *, resumed: bool) -> Training:
    """The parts of a run before its first step; with `resumed` weights are to come from
    `restore`, and the file the run started from is not asked for again."""
    model = build_detector(recipe.model) if resumed else starting_model(recipe)
    model.to(world.device)
    seed_everything(recipe.run.seed, world.rank)  # from here on ranks draw differently
    optim = recipe.optim
    faster = model.stpn.predictor is not None and optim.predictor_lr != 1
    groups = param_groups(
        model,
        optim.lr,
        optim.weight_decay,
        no_bias_decay=optim.no_bias_decay,
        lr_multipliers={"stpn.predictor": optim.predictor_lr} if faster else {},
    )
    return Training(
        model,
        torch.optim.AdamW(groups, lr=optim.lr),
        grad_scaler(recipe.run.precision, world.device),
        FiniteGuard(model),
        Ema(model, optim.ema) if optim.ema else None,
        clips,
    )


FIXED = (
    "model",
    "data",
    "optim.batch_size",
    "optim.accumulate",
    "optim.ema",
    "optim.weight_decay",  # like the next two it decides the optimiser's groups
    "optim.no_bias_decay",
    "optim.predictor_lr",
    "run.seed",
    "run.precision",
)
"""Parts of a configuration that may not change when a run continues."""
MAY_CHANGE = ("data.root", "data.det_root", "data.workers", "data.worker_timeout", "data.val_split")


def check_same_run(saved: Mapping[str, Any], recipe: Recipe) -> None:
    """Raise InputError if a resumed run's configuration differs in what decides its weights."""
    before, after = _flat(saved), _flat(dataclasses.asdict(recipe))
    changed = [
        f"{name}: was {before.get(name)!r}, now {after.get(name)!r}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
        and name not in MAY_CHANGE
        and any(name == part or name.startswith(f"{part}.") for part in FIXED)
    ]
    if changed:
        raise InputError(
            "this run was started with another configuration:\n  " + "\n  ".join(changed[:8]) + "\n"
            "continue it as it was, or choose another --out"
        )


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
