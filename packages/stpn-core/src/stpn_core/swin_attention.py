"""Window attention that sees prompts, over the parameters of an unmodified timm block.

B batch, H x W map, C channels, h heads of d channels, R x S windows of n tokens, P prompts,
N = P + n.

Definition (VPT, and the released STPN code for one image): every window attends over the prompts
and its own tokens; relative position bias and shift mask are zero for prompts; the prompts that
come out are averaged over the windows. Computed so that it costs little: norm and qkv run once per
prompt and not once per window (both are pointwise), and the average is taken before the output
projection (it is linear, so this is exact).
"""

from __future__ import annotations

import torch
from timm.models.swin_transformer import SwinTransformerBlock, WindowAttention
from torch import Tensor
from torch.nn import functional as F

from stpn_core.swin_windows import partition, reverse


def window_attention(
    block: SwinTransformerBlock,
    x: Tensor,
    prompts: Tensor | None,
    mask: Tensor | None,
    keep_prompts: bool,
) -> tuple[Tensor, Tensor | None]:
    """Attention branch of one block for normed x (B, H, W, C) and prompts (B, P, C).

    mask: `shift_mask` of this map for blocks that shift, otherwise None.
    keep_prompts: False if nobody wants the prompts that come out; they are keys and values only.
    Returns the two residuals, (B, H, W, C) and (B, P, C) or None.
    """
    attn = block.attn
    height, width = x.shape[1:3]
    window, shift = block.window_size[0], block.shift_size[0]
    windows = partition(x, window, shift)
    grid = windows.shape[1:3]
    qkv = attn.qkv(windows.flatten(1, 2))
    count = 0
    if prompts is not None:
        # one copy, of queries, keys and values together
        shared = attn.qkv(prompts)[:, None].expand(-1, qkv.shape[1], -1, -1)
        qkv = torch.cat([shared, qkv], 2)
        count = prompts.shape[1]
    q, k, v = qkv.unflatten(-1, (3, attn.num_heads, -1)).permute(3, 0, 1, 4, 2, 5).unbind(0)
    if not keep_prompts:
        q, count = q[:, :, :, count:], 0
    out = _attend(q, k, v, _bias(attn, mask, q, k))
    tokens = out[:, :, :, count:].transpose(2, 3).flatten(3).unflatten(1, grid)
    tokens = reverse(tokens, window, shift, height, width).flatten(1, 2)
    tokens = attn.proj(tokens).unflatten(1, (height, width))
    if prompts is None or not keep_prompts:
        return tokens, None
    return tokens, attn.proj(out[:, :, :, :count].mean(1).transpose(1, 2).flatten(2))


def _bias(attn: WindowAttention, mask: Tensor | None, q: Tensor, k: Tensor) -> Tensor:
    """(1 or W, h, queries, keys): relative position bias plus mask, zero for prompts.

    Its rows start at multiples of 8 elements in memory: CUDA's fused kernel copies it otherwise.
    """
    queries, keys = q.shape[3], k.shape[3]
    window = attn.window_area
    margin = (keys - window, -keys % 8, queries - window, 0)
    bias = F.pad(attn._get_rel_pos_bias().to(q.dtype), margin)
    if mask is not None:
        bias = bias + F.pad(mask.to(q.dtype), margin)[:, None]
    return bias[..., :keys]


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Fused attention of (B, W, h, queries, d) over (B, W, h, keys, d), kept to four dimensions."""
    batch, windows, heads = q.shape[:3]
    if batch == 1 or bias.shape[0] == 1:
        q, k, v = (t.flatten(0, 1) for t in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, bias)
        return out.unflatten(0, (batch, windows))
    # windows and heads share a dimension, so that one bias serves the whole batch unexpanded
    q, k, v = (t.flatten(1, 2) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, bias.flatten(0, 1)[None])
    return out.unflatten(1, (windows, heads))
