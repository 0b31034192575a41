from __future__ import annotations

import pytest
import torch
from torch import nn

from stpn_core.training import clip_gradients


def parameters(*gradients: list[float]) -> list[nn.Parameter]:
    made = [nn.Parameter(torch.zeros(len(g))) for g in gradients]
    for parameter, gradient in zip(made, gradients, strict=True):
        parameter.grad = torch.tensor(gradient)
    return [*made, nn.Parameter(torch.zeros(2))]  # one that got no gradient


@pytest.mark.parametrize(
    ("max_norm", "first"), [(1.0, 3 / 5), (2.5, 3 / 2), (10.0, 3.0), (None, 3.0)]
)
def test_the_norm_is_returned_and_limited(max_norm: float | None, first: float) -> None:
    made = parameters([3.0], [0.0, 4.0])
    assert clip_gradients(made, max_norm) == 5.0
    assert made[0].grad is not None
    assert made[0].grad.item() == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_bad_gradient_spoils_no_other(bad: float) -> None:
    made = parameters([3.0], [bad, 4.0])
    assert not torch.isfinite(clip_gradients(made, 1.0))
    assert made[0].grad is not None
    assert made[0].grad.item() == 3.0
    # Control: torch's own default does spread it.
    nn.utils.clip_grad_norm_(made, 1.0)
    assert made[0].grad.item() != 3.0
