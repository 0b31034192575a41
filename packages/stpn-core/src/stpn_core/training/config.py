"""Settings of an optimiser and of a run, the same for every task; light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stpn_core.settings import STRICT, number_faults


@dataclass(frozen=True)
class OptimConfig:
    """AdamW, warm-up and steps."""

    __pydantic_config__ = STRICT

    lr: float = 2.5e-5
    weight_decay: float = 0.05
    encoder_lr: float = 1.0
    """Multiplier of the learning rate for the encoder."""
    predictor_lr: float = 1.0
    """Multiplier of the learning rate for the prompt predictor."""
    no_bias_decay: bool = True
    """Leave biases out of weight decay."""
    batch_size: int = 1
    """Clips per process and step."""
    accumulate: int = 1
    """Batches per optimiser step."""
    steps: int = 0
    """Optimiser steps; 0 counts them from `epochs`."""
    epochs: float = 9.0
    drop_at: tuple[float, ...] = (6 / 9,)
    """Shares of the training after which the learning rate is divided by ten."""
    warmup_steps: int = 500
    warmup_ratio: float = 1 / 3
    clip_norm: float = 35.0
    """Largest gradient norm; 0 for no clipping."""
    ema: float = 0.0
    """Decay of the averaged weights that are evaluated and saved; 0 for none."""


@dataclass(frozen=True)
class RunConfig:
    """Machine side of a run: seed, precision, how often things are saved."""

    __pydantic_config__ = STRICT

    seed: int = 0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    device: str = "auto"
    """`auto` takes CUDA where there is one."""
    log_every: int = 20
    save_every: int = 1000
    """Steps between checkpoints."""
    keep: int = 2
    """Checkpoints kept besides the best and the last."""
    validate_every: int = 0
    """Steps between validations; 0 validates at the end only."""
    tensorboard: bool = False
    timeout: float = 300.0
    """Seconds after which a rank that hears nothing from the others gives up."""


_OPTIM_POSITIVE = ("lr", "batch_size", "accumulate", "encoder_lr", "predictor_lr")
_OPTIM_NOT_NEGATIVE = ("weight_decay", "steps", "epochs", "warmup_steps", "clip_norm")
_RUN_POSITIVE = ("timeout", "log_every", "save_every", "keep")
_RUN_NOT_NEGATIVE = ("seed", "validate_every")


def optim_faults(optim: OptimConfig) -> list[str]:
    """A line for every number that cannot work, without the name of the part it stands in."""
    faults = [
        *number_faults(optim, _OPTIM_POSITIVE, "greater than 0", lambda x: x > 0),
        *number_faults(optim, _OPTIM_NOT_NEGATIVE, "0 or more", lambda x: x >= 0),
        *number_faults(optim, ["warmup_ratio"], "from 0 to 1", lambda x: 0 <= x <= 1),
        *number_faults(optim, ["ema"], "from 0 to below 1", lambda x: 0 <= x < 1),
    ]
    drops = optim.drop_at
    if list(drops) != sorted(drops) or not all(0 <= share <= 1 for share in drops):
        faults.append(f"drop_at: ascending shares of the training, 0 to 1, not {drops}")
    if not optim.steps and not optim.epochs > 0:
        faults.append("steps and epochs are both 0: nothing to train")
    return faults


def run_faults(run: RunConfig) -> list[str]:
    """A line for every number that cannot work, without the name of the part it stands in."""
    return [
        *number_faults(run, _RUN_POSITIVE, "greater than 0", lambda x: x > 0),
        *number_faults(run, _RUN_NOT_NEGATIVE, "0 or more", lambda x: x >= 0),
    ]
