from __future__ import annotations

import pytest
import torch
from torch import nn

from stpn_core.errors import InputError
from stpn_core.training import autocast, grad_scaler


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_activations_have_the_precision_and_weights_stay(
    precision: str, dtype: torch.dtype
) -> None:
    layer = nn.Linear(2, 2)
    with autocast(precision):  # type: ignore[arg-type]
        assert layer(torch.ones(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32


def test_fp32_switches_an_outer_autocast_off() -> None:
    with autocast("bf16"), autocast("fp32"):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


def test_only_fp16_scales_the_loss() -> None:
    one = torch.ones(1)
    assert grad_scaler("fp32").scale(one) == 1
    assert grad_scaler("bf16").scale(one) == 1
    assert grad_scaler("fp16").scale(one) > 1


def test_another_word_is_an_input_error() -> None:
    with pytest.raises(InputError, match="fp32, bf16, fp16"):
        autocast("float16")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="float16"):
        grad_scaler("float16")  # type: ignore[arg-type]
