"""How much attention the tokens of a frame give to its prompts, block by block.

H x W map of a block, P prompts, n other tokens that a token may look at, R x S grid of windows.
With CvT, P is the number of keys that the prompts have: fewer where they pass its convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor

from stpn_core.cvt import PATCH, CvtEncoder
from stpn_core.cvt_parts import CvtStage, KeysValues
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
    beside (H, W): the share that goes to what stands `beside` the frame; None where nothing does.
    """

    block: str
    stride: int
    mass: Tensor
    even: Tensor
    beside: Tensor | None = None


def prompt_mass(
    encoder: PromptedEncoder,
    image: Tensor,
    prompts: Prompts,
    beside: Sequence[KeysValues] | None = None,
) -> list[PromptMass]:
    """The blocks of `encoder` from first to last, for one image (1, 3, H, W) with its prompts.

    beside: for CvT, see `CvtEncoder.forward`. Raises InputError for another encoder than Swin, ViT
    or CvT, more than one image, or attention that does not run through PyTorch's fused kernel.
    """
    if len(image) != 1:
        raise InputError(f"attention is read for one image at a time, got {len(image)}")
    if isinstance(encoder, SwinEncoder):
        return _swin(encoder, image, prompts)
    if isinstance(encoder, VitEncoder):
        return _vit(encoder, image, prompts)
    if isinstance(encoder, CvtEncoder):
        return _cvt(encoder, image, prompts, beside)
    raise InputError(
        f"attention is read from Swin, ViT and CvT encoders, not {type(encoder).__name__}"
    )


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


def _cvt(
    encoder: CvtEncoder, image: Tensor, prompts: Prompts, beside: Sequence[KeysValues] | None
) -> list[PromptMass]:
    places = _cvt_places(encoder, image)
    others = iter([0] * len(places) if beside is None else [keys.shape[2] for keys, _ in beside])
    sizes = iter(places)

    def read(weights: Tensor) -> Tensor:  # keys: beside, prompts, class token, map
        first, place = next(others), next(sizes)
        prompted = weights.shape[-1] - first - place.token - place.keys
        queries = weights[..., -place.height * place.width :, :]
        both = _shares(queries, first, prompted)[0]
        return torch.cat([both, queries[0, ..., :first].sum(-1).mean(0)[:, None]], dim=1).cpu()

    found = _each_block(lambda: encoder(image, prompts, beside), read, len(places))
    result = []
    for place, shares in zip(places, found, strict=True):
        mass, even, aside = shares.unflatten(0, (place.height, place.width)).unbind(-1)
        seen = None if beside is None else aside
        result.append(PromptMass(place.block, place.stride, mass, even, seen))
    return result


@dataclass(frozen=True)
class _CvtPlace:
    """A block of CvT: its map, the keys of that, and how many class tokens stand before them."""

    block: str
    stride: int
    height: int
    width: int
    keys: int
    token: int


def _cvt_places(encoder: CvtEncoder, image: Tensor) -> list[_CvtPlace]:
    height, width = (-(-side // PATCH) for side in image.shape[2:])
    places = []
    for number in range(1, encoder.out_indices[-1] + 2):
        stage = cast(CvtStage, encoder.stages[number - 1])
        if number > 1:
            height, width = (height + 1) // 2, (width + 1) // 2
        keys = ((height + 1) // 2) * ((width + 1) // 2)
        stride = PATCH * 2 ** (number - 1)
        token = 0 if stage.cls_token is None else 1
        places += [
            _CvtPlace(f"stage {number}, block {i}", stride, height, width, keys, token)
            for i in range(1, len(stage.blocks) + 1)
        ]
    return places


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
