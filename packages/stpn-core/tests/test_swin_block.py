"""How prompts widen at patch merging."""

from __future__ import annotations

import torch
from timm.models.swin_transformer import PatchMerging
from torch import nn

from stpn_core.swin_block import merge_prompts


class Seen(nn.Module):
    """Stands for norm and reduction, so that the copies themselves come out."""

    norm = nn.Identity()
    reduction = nn.Identity()


def test_aligned_copies_repeat_the_prompt() -> None:
    prompts = torch.arange(4.0).reshape(1, 1, 4)
    copies = merge_prompts(Seen(), prompts, released=False)  # type: ignore[arg-type]
    assert copies.flatten().tolist() == [0, 1, 2, 3] * 4


def test_released_copies_are_permuted() -> None:
    """timm's column b * C + c holds p[(4 c + m[b]) mod C], m = 0, 2, 1, 3."""
    prompts = torch.arange(8.0).reshape(1, 1, 8)
    copies = merge_prompts(Seen(), prompts, released=True)  # type: ignore[arg-type]
    expected = [(4 * c + m) % 8 for m in (0, 2, 1, 3) for c in range(8)]
    assert copies.flatten().tolist() == expected


def test_a_merged_prompt_is_a_constant_patch_block() -> None:
    """Aligned merging treats a prompt as four equal neighbouring patches."""
    torch.manual_seed(0)
    merging = PatchMerging(6)
    prompt = torch.randn(1, 1, 6)
    block = prompt[:, None].expand(1, 2, 2, 6)
    torch.testing.assert_close(merge_prompts(merging, prompt, False), merging(block).flatten(1, 2))
