"""How the suites compare and disturb tensors.

B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_core.features import Features

T = TypeVar("T", bound="Tensor | Sequence[Tensor]")


def tensors(value: Tensor | Sequence[Tensor] | Features) -> list[Tensor]:
    """All tensors of an encoder's or predictor's output, in order."""
    if isinstance(value, Tensor):
        return [value]
    return list(value.maps if isinstance(value, Features) else value)


def largest_difference(
    actual: Tensor | Sequence[Tensor] | Features, expected: Tensor | Sequence[Tensor] | Features
) -> float:
    """Largest |actual - expected| of any tensor, relative to that tensor's largest magnitude.

    Infinite where shapes or numbers of tensors differ, or where anything is NaN.
    """
    ours, theirs = tensors(actual), tensors(expected)
    if [t.shape for t in ours] != [t.shape for t in theirs]:
        return float("inf")
    worst = 0.0
    for a, e in zip(ours, theirs, strict=True):
        if not (torch.isfinite(a).all() and torch.isfinite(e).all()):
            return float("inf")
        if a.numel():
            gap = (a.double() - e.double()).abs().max() / e.double().abs().max().clamp(min=1e-12)
            worst = max(worst, gap.item())
    return worst


def bit_equal(
    actual: Tensor | Sequence[Tensor] | Features, expected: Tensor | Sequence[Tensor] | Features
) -> bool:
    """Whether all tensors have the same bits (NaN equals nothing)."""
    ours, theirs = tensors(actual), tensors(expected)
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def rows(value: Tensor | Sequence[Tensor] | Features, *index: int) -> list[Tensor]:
    """The given batch rows of every tensor."""
    return [t[list(index)] for t in tensors(value)]


def replace_row(value: T, row: int, fill: Callable[[Tensor], Tensor]) -> T:
    """A copy whose batch row `row` is `fill(row)` in every tensor."""

    def changed(tensor: Tensor) -> Tensor:
        copy = tensor.clone()
        copy[row] = fill(copy[row])
        return copy

    if isinstance(value, Tensor):
        return changed(value)  # type: ignore[return-value]
    return [changed(t) for t in value]  # type: ignore[return-value]


def noise(tensor: Tensor) -> Tensor:
    """Numbers far outside of what a network expects."""
    return torch.randn_like(tensor) * 1e4


def nans(tensor: Tensor) -> Tensor:
    """NaN everywhere."""
    return torch.full_like(tensor, float("nan"))


def pick_rows(prompts: Prompts, *index: int) -> Prompts:
    """The given batch rows of prompts, in the form they came in."""
    picked = rows(prompts, *index)
    return picked[0] if isinstance(prompts, Tensor) else picked


def score(value: Tensor | Sequence[Tensor] | Features) -> Tensor:
    """A scalar that depends on every element with its own weight, for gradients."""
    total = torch.zeros(())
    for tensor in tensors(value):
        weight = torch.linspace(-1, 1, tensor.numel()).sin().reshape(tensor.shape)
        total = total + (tensor.float() * weight).sum()
    return total


def without_gradient(module: torch.nn.Module) -> list[str]:
    """Names of trainable parameters that the last backward pass left out or filled with NaN."""
    return [
        name
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
        and (parameter.grad is None or not torch.isfinite(parameter.grad).all())
    ]
