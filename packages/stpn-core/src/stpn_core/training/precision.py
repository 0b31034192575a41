"""Mixed precision: "fp32", "bf16" or "fp16", weights always in float32."""

from __future__ import annotations

from typing import Literal, get_args

import torch

from stpn_core.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device | str = "cpu") -> torch.autocast:
    """Context for forward and loss; does nothing for "fp32".

    Raises InputError for another word, or bf16 on a GPU that has none.
    """
    _check(precision)
    kind = torch.device(device).type
    if precision == "bf16" and kind == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError("this GPU has no bf16: use fp16 or fp32")
    if precision == "fp32":
        return torch.autocast(kind, enabled=False)
    return torch.autocast(kind, dtype=_TYPES[precision])


def grad_scaler(precision: Precision, device: torch.device | str = "cpu") -> torch.amp.GradScaler:
    """Loss scaler: active for "fp16", a transparent stand-in otherwise."""
    _check(precision)
    return torch.amp.GradScaler(torch.device(device).type, enabled=precision == "fp16")


def _check(precision: str) -> None:
    if precision not in get_args(Precision):
        raise InputError(f"precision {precision!r}: say {', '.join(get_args(Precision))}")
