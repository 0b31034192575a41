"""The weights of attention, which the fused kernel never forms, from the very call that uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

T = TypeVar("T")


def attention_weights(run: Callable[[], object], read: Callable[[Tensor], T]) -> list[T]:
    """Call `run`, and return `read(weights)` for each fused attention in it, in order.

    weights (..., heads, queries, keys) float32, each row sums to 1: softmax of the very queries,
    keys and mask that the kernel gets, so that weights @ values is what the kernel returns. `read`
    says what to keep; the weights themselves may be large. What `run` computes does not change.
    """
    with _Reader(read) as reader, torch.no_grad():
        run()
    return reader.found


class _Reader(TorchFunctionMode):
    """Sees every call of the fused kernel while it is entered, in this thread alone."""

    def __init__(self, read: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.read = read
        self.found: list[Any] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            self.found.append(self.read(_weights(*args, **kwargs)))
        return func(*args, **kwargs)


def _weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(query key^T * scale + mask), with the arguments of the kernel."""
    if is_causal or enable_gqa or dropout_p:
        raise NotImplementedError("causal, grouped or dropped attention is not read")
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    with torch.autocast(query.device.type, enabled=False):
        scores = query.float() @ key.float().transpose(-2, -1) * factor
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, float("-inf"))
        elif attn_mask is not None:
            scores = scores + attn_mask.float()
        return scores.softmax(-1)
