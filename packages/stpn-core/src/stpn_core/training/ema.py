"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from stpn_core.errors import InputError


class Ema:
    """Average of a model's parameters; buffers are taken over as they are.

    `decay` grows as (1 + n) / (10 + n) towards its value, so early weights are soon forgotten.
    Everything that `update` depends on is in `state_dict`, so a resumed average is bit-equal.
    """

    def __init__(self, model: nn.Module, decay: float = 0.9998) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"EMA decay must be in [0, 1), not {decay}")
        self.decay = decay
        self.updates = 0
        self._average = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Call after each optimiser step that was taken."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        parameters = {k for k, _ in model.named_parameters(remove_duplicate=False)}
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for key, value in model.state_dict().items():
            if key in parameters and value.is_floating_point():
                averaged.append(self._average[key])
                current.append(value)
            else:
                self._average[key].copy_(value)
        if averaged:
            torch._foreach_lerp_(averaged, current, 1 - decay)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """The model has the averaged weights inside, its own again outside."""
        own = {k: v.detach().clone() for k, v in model.state_dict().items()}
        model.load_state_dict(self._average)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """`average`: a model state dict of the averaged weights; `updates`: how many went in."""
        return {"average": dict(self._average), "updates": self.updates}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave. Raises InputError if it is of another model."""
        average = state["average"]
        differing = [
            k
            for k in {**self._average, **average}
            if _shape(self._average, k) != _shape(average, k)
        ]
        if differing:
            shown = "; ".join(
                f"{k}: saved {_shape(average, k)}, model {_shape(self._average, k)}"
                for k in differing[:5]
            )
            raise InputError(f"the saved EMA is of another model: {shown}")
        for key, value in self._average.items():
            value.copy_(average[key])
        self.updates = int(state["updates"])


def _shape(state: dict[str, Tensor], key: str) -> tuple[int, ...] | None:
    return tuple(state[key].shape) if key in state else None
