"""Prompted window attention as the definition says it, for comparison: prompts are copied into every
window, and norm, qkv, attention and projection all run on P + n tokens per window.

B batch, H x W map, C channels, W windows of n tokens, P prompts.
"""

from __future__ import annotations

import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor
from torch.nn import functional as F

from stpn_core.swin import SwinEncoder
from stpn_core.swin_windows import partition, reverse, shift_mask


def naive_forward(encoder: SwinEncoder, images: Tensor, prompts: Tensor) -> tuple[Tensor, ...]:
    """The same maps as `encoder(images, prompts)`, for image sizes that are whole patches."""
    x = encoder.body.patch_embed(images)
    maps = []
    for i, stage in enumerate(encoder.body.layers):
        if i:
            merging = stage.downsample
            x = merging(x)
            prompts = merging.reduction(merging.norm(prompts.repeat(1, 1, 4)))
        for block in stage.blocks:
            x, prompts = _block(block, x, prompts)
        maps.append(encoder.norms[str(i)](x).permute(0, 3, 1, 2))
    return tuple(maps)


def _block(block: SwinTransformerBlock, x: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
    dx, dp = _attention(block, block.norm1(x), block.norm1(prompts))
    x, prompts = x + dx, prompts + dp
    return x + block.mlp(block.norm2(x)), prompts + block.mlp(block.norm2(prompts))


def _attention(block: SwinTransformerBlock, x: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
    attn, count = block.attn, prompts.shape[1]
    (batch, height, width), window, shift = x.shape[:3], block.window_size[0], block.shift_size[0]
    windows = partition(x, window, shift)
    grid = windows.shape[1:3]
    windows = windows.flatten(1, 2)
    copies = prompts[:, None].expand(-1, windows.shape[1], -1, -1)
    tokens = torch.cat([copies, windows], 2).flatten(0, 1)
    q, k, v = attn.qkv(tokens).unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    bias = attn._get_rel_pos_bias().to(q.dtype)
    if shift:
        mask = shift_mask(height, width, window, shift, x.device).to(q.dtype)
        bias = (bias + mask[:, None]).repeat(batch, 1, 1, 1)
    bias = F.pad(bias, (count, 0, count, 0))
    out = F.scaled_dot_product_attention(q, k, v, bias)
    out = attn.proj(out.transpose(1, 2).flatten(2)).unflatten(0, (batch, -1))
    patches = out[:, :, count:].unflatten(1, grid)
    return reverse(patches, window, shift, height, width), out[:, :, :count].mean(1)
