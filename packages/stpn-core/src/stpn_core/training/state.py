"""What a checkpoint of a training run holds, and how it is put back."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from stpn_core.errors import InputError
from stpn_core.stpn import STPN
from stpn_core.training.config import OptimConfig, RunConfig
from stpn_core.training.distributed import World, gather_values
from stpn_core.training.ema import Ema
from stpn_core.training.finite import FiniteGuard
from stpn_core.training.optimizer import NO_DECAY, param_groups
from stpn_core.training.precision import grad_scaler
from stpn_core.training.rng import capture_rng, restore_rng, seed_everything

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Training(Generic[Model]):
    """The parts of a run that change while it trains. clips: number of clips in an epoch."""

    model: Model
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


def prepare_training(
    model: Model,
    optim: OptimConfig,
    run: RunConfig,
    world: World,
    clips: int,
    *,
    lr_multipliers: Mapping[str, float] | None = None,
    no_decay: tuple[str, ...] = NO_DECAY,
) -> Training[Model]:
    """The parts of a run before its first step, with `model` on the device of this rank.

    From here on ranks draw different random numbers. lr_multipliers, no_decay: as in `param_groups`.
    """
    model.to(world.device)
    seed_everything(run.seed, world.rank)
    groups = param_groups(
        model,
        optim.lr,
        optim.weight_decay,
        no_bias_decay=optim.no_bias_decay,
        lr_multipliers=lr_multipliers,
        no_decay=no_decay,
    )
    return Training(
        model,
        torch.optim.AdamW(groups, lr=optim.lr),
        grad_scaler(run.precision, world.device),
        FiniteGuard(model),
        Ema(model, optim.ema) if optim.ema else None,
        clips,
    )


def stpn_multipliers(stpn: STPN, optim: OptimConfig, name: str = "stpn") -> dict[str, float]:
    """Learning rates of encoder and predictor for `param_groups`; name: of the STPN in its model."""
    rates = {f"{name}.encoder": optim.encoder_lr}
    if stpn.predictor is not None:
        rates[f"{name}.predictor"] = optim.predictor_lr
    return {prefix: rate for prefix, rate in rates.items() if rate != 1}


FIXED = (
    "model",
    "data",
    "objective",
    "optim.batch_size",
    "optim.accumulate",
    "optim.ema",
    "optim.weight_decay",  # like the next three it decides the optimiser's groups
    "optim.no_bias_decay",
    "optim.encoder_lr",
    "optim.predictor_lr",
    "run.seed",
    "run.precision",
)
"""Parts of a recipe that may not change when a run continues."""


def check_same_run(saved: Mapping[str, Any], recipe: Any, may_change: Collection[str]) -> None:
    """Raise InputError if a resumed run's recipe differs in what decides its weights.

    saved: as JSON gave it; recipe: a dataclass with `model`, `data`, `optim` and `run`; may_change:
    dotted names inside of FIXED that decide nothing, such as where the data lies. A setting that the
    saved recipe does not know is younger than the run, which did what its default does.
    """
    before, after = _flat(_defaults(recipe)) | _flat(saved), _flat(dataclasses.asdict(recipe))
    changed = [
        f"{name}: was {before.get(name)!r}, now {after.get(name)!r}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
        and name not in may_change
        and any(name == part or name.startswith(f"{part}.") for part in FIXED)
    ]
    if changed:
        raise InputError(
            "this run was started with another configuration:\n  " + "\n  ".join(changed[:8]) + "\n"
            "continue it as it was, or choose another --out"
        )


def _defaults(recipe: Any) -> dict[str, Any]:
    """Defaults of the settings of each part of a recipe; options of free form have none."""
    found: dict[str, Any] = {}
    for part in dataclasses.fields(recipe):
        value = getattr(recipe, part.name)
        if dataclasses.is_dataclass(value):
            found[part.name] = {
                field.name: field.default
                for field in dataclasses.fields(value)
                if field.default is not dataclasses.MISSING
            }
    return found


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
