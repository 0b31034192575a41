"""Which tensors count as weights: dense, on the CPU, of plain types, within their storage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import Tensor

from stpn_core.errors import InputError

DTYPES = frozenset(
    {
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    }
)


def check_tensors(
    state: Mapping[str, Tensor], *, where: str, max_bytes: int, allow_nan: bool = False
) -> None:
    """Raise InputError, naming the key, for a tensor that is no plain weight.

    max_bytes: what all tensors may hold together, so that many views of one storage cannot be
    written out into something huge. allow_nan: accept NaN and infinity.
    """
    total = 0
    for key, tensor in state.items():
        problem = problem_of(tensor)
        if problem is not None:
            raise InputError(f"{where}: refused: {key!r} {problem}")
        total += tensor.numel() * tensor.element_size()
    if total > max_bytes:
        raise InputError(
            f"{where}: refused: its tensors are {total} bytes, more than the file can hold "
            f"(at most {max_bytes})"
        )
    if not allow_nan:
        bad = [key for key, tensor in state.items() if not is_finite(tensor)]
        if bad:
            raise InputError(
                f"{where}: NaN or infinity in {len(bad)} of {len(state)} tensors, first in "
                f"{bad[0]!r}; weights of a run that diverged? "
                "`stpn convert --allow-nan` lets them pass"
            )


def problem_of(tensor: object) -> str | None:
    """Why this is no plain weight, or None if it is one."""
    if not is_tensor(tensor):
        return f"is a {type(tensor).__name__}, not a tensor"
    if tensor.layout is not torch.strided:
        return f"is sparse ({tensor.layout})"
    if tensor.device.type != "cpu":
        return f"is on {tensor.device.type}: it has no data here"
    if tensor.dtype not in DTYPES:
        return f"is of type {tensor.dtype}"
    held, needed = tensor.untyped_storage().nbytes(), tensor.numel() * tensor.element_size()
    if needed > held:
        return f"of shape {tuple(tensor.shape)} claims {needed} bytes and holds {held}"
    return None


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """True for torch.Tensor and Parameter, not for subclasses that could redefine what they do."""
    return type(value) in (Tensor, torch.nn.Parameter)


def is_finite(tensor: Tensor) -> bool:
    """True if no element is NaN or infinite; needs no memory of the tensor's size."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    low, high = torch.aminmax(tensor.detach())
    return bool(torch.isfinite(low) and torch.isfinite(high))
