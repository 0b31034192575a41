"""Gradient norm and clipping that never spreads one NaN over every gradient."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float | None) -> Tensor:
    """Scale the gradients down to a total 2-norm of `max_norm`; returns the norm before (scalar).

    With None only measures. A norm that is not finite leaves the gradients as they are, so that the
    caller sees which are broken; `FiniteGuard.accept` then refuses the step.
    """
    parameters = list(parameters)
    norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if max_norm is not None and bool(torch.isfinite(norm)):
        nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm
