"""A training loop and its small parts, which a task may also put together for itself.

There is no trainer to inherit from: `train_steps` is one visible function over a `Job`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_core.training.config import OptimConfig, RunConfig
    from stpn_core.training.device import choose_device, requested_device
    from stpn_core.training.distributed import (
        World,
        any_rank,
        barrier,
        broadcast_value,
        data_parallel,
        gather_values,
        init_distributed,
        is_main,
        mean_over_ranks,
        peer_errors,
        shut_down,
    )
    from stpn_core.training.ema import Ema
    from stpn_core.training.finite import FiniteGuard
    from stpn_core.training.gradients import clip_gradients
    from stpn_core.training.keeping import (
        continue_run,
        is_due,
        logged_scores,
        open_log,
        save_step,
        total_steps,
    )
    from stpn_core.training.loop import Job, Post, in_run, train_steps
    from stpn_core.training.memory import memory_errors, peak_memory
    from stpn_core.training.metrics_log import MetricsLog, read_metrics
    from stpn_core.training.optimizer import param_groups, set_lr
    from stpn_core.training.pace import EvaluationStopped, Pace
    from stpn_core.training.precision import Precision, autocast, grad_scaler
    from stpn_core.training.progress import Progress
    from stpn_core.training.rng import capture_rng, restore_rng, seed_everything
    from stpn_core.training.schedule import warmup_step_schedule
    from stpn_core.training.signals import StopFlag, ignore_signals, kill_daemons, listening
    from stpn_core.training.state import (
        Training,
        check_same_run,
        prepare_training,
        stpn_multipliers,
    )
    from stpn_core.training.twin_start import same_start
    from stpn_core.training.update import take_step

_HOMES = {
    "config": ("OptimConfig", "RunConfig"),
    "device": ("choose_device", "requested_device"),
    "distributed": (
        "World",
        "any_rank",
        "barrier",
        "broadcast_value",
        "data_parallel",
        "gather_values",
        "init_distributed",
        "is_main",
        "mean_over_ranks",
        "peer_errors",
        "shut_down",
    ),
    "ema": ("Ema",),
    "finite": ("FiniteGuard",),
    "gradients": ("clip_gradients",),
    "keeping": (
        "continue_run",
        "is_due",
        "logged_scores",
        "open_log",
        "save_step",
        "total_steps",
    ),
    "loop": ("Job", "Post", "in_run", "train_steps"),
    "memory": ("memory_errors", "peak_memory"),
    "metrics_log": ("MetricsLog", "read_metrics"),
    "optimizer": ("param_groups", "set_lr"),
    "pace": ("EvaluationStopped", "Pace"),
    "precision": ("Precision", "autocast", "grad_scaler"),
    "progress": ("Progress",),
    "rng": ("capture_rng", "restore_rng", "seed_everything"),
    "schedule": ("warmup_step_schedule",),
    "signals": ("StopFlag", "ignore_signals", "kill_daemons", "listening"),
    "state": (
        "Training",
        "check_same_run",
        "prepare_training",
        "stpn_multipliers",
    ),
    "twin_start": ("same_start",),
    "update": ("take_step",),
}

__all__ = [
    "Ema",
    "EvaluationStopped",
    "FiniteGuard",
    "Job",
    "MetricsLog",
    "OptimConfig",
    "Pace",
    "Post",
    "Precision",
    "Progress",
    "RunConfig",
    "StopFlag",
    "Training",
    "World",
    "any_rank",
    "autocast",
    "barrier",
    "broadcast_value",
    "capture_rng",
    "check_same_run",
    "choose_device",
    "clip_gradients",
    "continue_run",
    "data_parallel",
    "gather_values",
    "grad_scaler",
    "ignore_signals",
    "in_run",
    "init_distributed",
    "is_due",
    "is_main",
    "kill_daemons",
    "listening",
    "logged_scores",
    "mean_over_ranks",
    "memory_errors",
    "open_log",
    "param_groups",
    "peak_memory",
    "peer_errors",
    "prepare_training",
    "read_metrics",
    "requested_device",
    "restore_rng",
    "same_start",
    "save_step",
    "seed_everything",
    "set_lr",
    "shut_down",
    "stpn_multipliers",
    "take_step",
    "total_steps",
    "train_steps",
    "warmup_step_schedule",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
