"""Parameter groups: who decays, who learns faster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn, optim

from stpn_core.errors import InputError

NO_DECAY = ("norm", "relative_position_bias_table", "absolute_pos_embed")
"""A parameter whose name contains one of these does not decay (released STPN configuration)."""


def param_groups(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    no_bias_decay: bool = False,
    lr_multipliers: Mapping[str, float] | None = None,
    no_decay: tuple[str, ...] = NO_DECAY,
) -> list[dict[str, Any]]:
    """Groups for a torch optimiser, over the parameters of `model` that require gradients.

    As in the released STPN: biases and prompt queries decay, norms and position tables do not.

    Args:
        no_bias_decay: biases do not decay either.
        lr_multipliers: by prefix of the parameter's dotted name, such as `{"stpn.predictor": 10}`;
            the longest matching prefix counts.

    Each group holds its `lr` and the `lr_multiplier` that `set_lr` applies, and the group order is
    that of first appearance, so optimiser states of the same model always fit.

    Raises:
        InputError: a prefix matches no parameter.
    """
    multipliers = dict(lr_multipliers or {})
    used: set[str] = set()
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        matching = [p for p in multipliers if name == p or name.startswith(f"{p}.")]
        used.update(matching)
        if not parameter.requires_grad:
            continue
        multiplier = multipliers[max(matching, key=len)] if matching else 1.0
        spared = any(part in name for part in no_decay)
        spared = spared or (no_bias_decay and name.rpartition(".")[2] == "bias")
        decay = 0.0 if spared else weight_decay
        group = groups.setdefault(
            (multiplier, decay),
            {
                "params": [],
                "lr": lr * multiplier,
                "lr_multiplier": multiplier,
                "weight_decay": decay,
            },
        )
        group["params"].append(parameter)
    for prefix in multipliers:
        if prefix not in used:
            children = ", ".join(name for name, _ in model.named_children())
            raise InputError(
                f"learning rate multiplier for {prefix!r}: no parameter name starts with it; "
                f"the model's parts are {children}"
            )
    return list(groups.values())


def set_lr(optimizer: optim.Optimizer, lr: float) -> None:
    """Give every group `lr` times its own multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_multiplier", 1.0)
