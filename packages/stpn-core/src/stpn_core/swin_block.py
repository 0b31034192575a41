"""One Swin block, and the step between stages, for patches and prompts together.

B batch, H x W map, C channels, P prompts.
"""

from __future__ import annotations

import torch
from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock
from torch import Tensor, nn

from stpn_core.swin_attention import window_attention


def block_forward(
    block: SwinTransformerBlock,
    x: Tensor,
    prompts: Tensor | None,
    mask: Tensor | None,
    keep_prompts: bool,
    drop_path: bool,
) -> tuple[Tensor, Tensor | None]:
    """Attention and MLP with residuals, for x (B, H, W, C) and prompts (B, P, C).

    mask: `shift_mask` of this map, used if the block shifts.
    keep_prompts: False gives None for the prompts, for when the next block brings its own.
    drop_path: apply the block's stochastic depth; a sample's prompts and patches drop together.
    """
    shifted_mask = mask if any(block.shift_size) else None
    normed = None if prompts is None else block.norm1(prompts)
    dx, dp = window_attention(block, block.norm1(x), normed, shifted_mask, keep_prompts)
    kept = _survivors(block.drop_path1, x, drop_path)
    x = x + _scaled(dx, kept)
    kept_mlp = _survivors(block.drop_path2, x, drop_path)
    x = x + _scaled(block.mlp(block.norm2(x)), kept_mlp)
    if dp is None or prompts is None:
        return x, None
    prompts = prompts + _scaled(dp, kept)
    return x, prompts + _scaled(block.mlp(block.norm2(prompts)), kept_mlp)


def _survivors(layer: nn.Module, x: Tensor, drop_path: bool) -> Tensor | None:
    """(B,): 0 for samples whose branch is dropped, else 1 / (1 - rate); None drops none."""
    rate = getattr(layer, "drop_prob", 0.0)
    if not drop_path or not rate:
        return None
    return x.new_empty(x.shape[0]).bernoulli_(1 - rate) / (1 - rate)


def _scaled(branch: Tensor, kept: Tensor | None) -> Tensor:
    return branch if kept is None else branch * kept.reshape(-1, *[1] * (branch.ndim - 1))


def merge_prompts(merging: PatchMerging, prompts: Tensor, released: bool) -> Tensor:
    """Widen prompts (B, P, C) to the next stage's (B, P, 2C) with its patch merging weights.

    Four copies of a prompt stand for the four patches that are merged (VPT). `released` permutes
    their channels as the released STPN code does: it lays four whole copies in front of weights
    that expect the four values of each channel side by side. In timm's weight order (blocks b of C
    channels, for the patches at (dy, dx) = (0,0), (1,0), (0,1), (1,1)) that is
    p[(4c + m[b]) mod C] with m = 0, 2, 1, 3 in place of p[c].
    """
    if released:
        c = torch.arange(prompts.shape[-1], device=prompts.device)
        order = torch.cat([(4 * c + m) % len(c) for m in (0, 2, 1, 3)])
        copies = prompts[..., order]
    else:
        copies = prompts.repeat(1, 1, 4)
    return merging.reduction(merging.norm(copies))
