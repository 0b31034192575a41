"""Attention of prompt queries over the tokens of all support frames.

Shapes: B batch, P queries, K frames, N tokens per frame, D channels.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from stpn_core.errors import InputError


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int, valid: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(D / heads)) v for q (B, P, D) and k, v (B, K, N, D); gives (B, P, D).

    valid (B, K) bool: frames marked False are no keys. Where no frame is valid all keys count, so
    that the result stays finite.
    """
    mask = None
    if valid is not None:
        some = valid | ~valid.any(1, keepdim=True)
        mask = some[:, :, None].expand(-1, -1, k.shape[2]).flatten(1)[:, None, None]
    q, k, v = (_split(t, heads) for t in (q, k.flatten(1, 2), v.flatten(1, 2)))
    return F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).flatten(2)


def _split(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def check_heads(dim: int, heads: int) -> None:
    """Raise InputError unless `dim` channels can be split over `heads`."""
    if dim % heads:
        raise InputError(
            f"prompts of width {dim} cannot be split over {heads} heads; choose another num_heads"
        )
