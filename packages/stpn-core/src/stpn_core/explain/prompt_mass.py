"""How much attention the tokens of a frame give to its prompts, block by block.

H x W map of a block, P prompts, n other tokens that a token may look at, R x S grid of windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor

from stpn_core.encoder import PromptedEncoder, Prompts
from stpn_core.errors import InputError
from stpn_core.explain.attention_weights import attention_weights
from stpn_core.swin import SwinEncoder
from stpn_core.swin_windows import reverse
from stpn_core.vit import VitEncoder

T = TypeVar("T")

_MASKED = 1e-30
"""A smaller weight is that of a token which the shift mask (-100) keeps apart."""


@dataclass(frozen=True, eq=False)
class PromptMass:
    """One block of an encoder.

    mass (H, W) float32: the share of each token's attention that goes to all prompts together, mean
    of the heads. even (H, W): what it would be if the token looked at all it may see alike,
    P / (P + n); n is smaller where a shifted window meets the border. stride: pixels per token.
    """

    block: str
    stride: int
    mass: Tensor
    even: Tensor


def prompt_mass(encoder: PromptedEncoder, image: Tensor, prompts: Prompts) -> list[PromptMass]:
    """The blocks of `encoder` from first to last, for one image (1, 3, H, W) with its prompts.

    Raises InputError for another encoder than Swin or ViT, more than one image, or attention
    that does not run through PyTorch's fused kernel.
    """
    if len(image) != 1:
        raise InputError(f"attention is read for one image at a time, got {len(image)}")
    if isinstance(encoder, SwinEncoder):
        return _swin(encoder, image, prompts)
    if isinstance(encoder, VitEncoder):
        return _vit(encoder, image, prompts)
    raise InputError(f"attention is read from Swin and ViT encoders, not {type(encoder).__name__}")


def _swin(encoder: SwinEncoder, image: Tensor, prompts: Prompts) -> list[PromptMass]:
    stages = [
        cast(list[SwinTransformerBlock], list(stage.blocks))  # type: ignore[arg-type]
        for stage in list(encoder.body.layers)[: encoder.out_indices[-1] + 1]
    ]
    area = stages[0][0].attn.window_area
    # windows, heads, queries, keys; prompts come first among keys, window tokens last of both
    found = iter(
        _each_block(
            lambda: encoder(image, prompts),
            lambda weights: _shares(weights[..., -area:, :], 0, weights.shape[-1] - area),
            sum(map(len, stages)),
        )
    )
    height, width = (-(-side // encoder.patch) for side in image.shape[2:])
    result = []
    for number, blocks in enumerate(stages, start=1):
        if number > 1:
            height, width = (height + 1) // 2, (width + 1) // 2
        for place, block in enumerate(blocks, start=1):
            window, shift = block.window_size[0], block.shift_size[0]
            windows = next(found).unflatten(0, (-1, -(-width // window)))[None]
            mass, even = reverse(windows, window, shift, height, width)[0].cpu().unbind(-1)
            stride = encoder.patch * 2 ** (number - 1)
            result.append(PromptMass(f"stage {number}, block {place}", stride, mass, even))
    return result


def _vit(encoder: VitEncoder, image: Tensor, prompts: Prompts) -> list[PromptMass]:
    patch = encoder.body.patch_embed.patch_size
    height, width = (-(-side // p) for side, p in zip(image.shape[2:], patch, strict=True))
    first, area = encoder.body.num_prefix_tokens, height * width
    found = _each_block(
        lambda: encoder(image, prompts),
        lambda weights: _shares(
            weights[0, :, -area:][None], first, weights.shape[-1] - first - area
        ),
        encoder.taps[-1] + 1,  # no block behind the last tap runs
    )
    return [
        PromptMass(
            f"block {number}", patch[0], *both[0].unflatten(0, (height, width)).cpu().unbind(-1)
        )
        for number, both in enumerate(found, start=1)
    ]


def _shares(weights: Tensor, first: int, count: int) -> Tensor:
    """(W, heads, n, keys) -> (W, n, 2): share of the keys first ... first + count, and even share."""
    mass = weights[..., first : first + count].sum(-1).mean(1)
    seen = (weights > _MASKED).any(1).sum(-1).clamp(min=1)
    return torch.stack([mass, count / seen], dim=-1)


def _each_block(run: Callable[[], object], read: Callable[[Tensor], T], blocks: int) -> list[T]:
    found = attention_weights(run, read)
    if len(found) != blocks:
        raise InputError(
            f"{len(found)} of {blocks} blocks use PyTorch's fused attention; allow it "
            "(TIMM_FUSED_ATTN=1) to read the attention of this encoder"
        )
    return found
