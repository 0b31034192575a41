"""What a tracker keeps of its templates: their keys and values in every block of the backbone.

In MixFormer's asymmetric mixed attention, templates look at templates only, while the search region
looks at the templates and at itself. Templates can therefore be encoded alone and once, and the
search region is an ordinary pass of the backbone with the templates' keys and values beside its own.
Prompts stand on the search region's side: whatever they are, the templates stay the same.

B sequences, T templates (the first one, then the online ones), C channels, h x w a template's map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from stpn_core.cvt import CvtEncoder
from stpn_core.cvt_parts import CvtBlock, CvtStage, Group, KeysValues, as_map
from stpn_core.errors import InputError


@dataclass(frozen=True, eq=False)
class TemplateCache:
    """Encoded templates of B sequences.

    blocks: for each block, projected keys and values (B, heads, m, C_i / heads) of all templates.
    first: the first template's last map (B, C, h, w).
    """

    blocks: tuple[KeysValues, ...]
    first: Tensor

    def rows(self, index: Tensor) -> TemplateCache:
        """Sequences `index` (n,), which may repeat."""
        blocks = tuple((keys[index], values[index]) for keys, values in self.blocks)
        return TemplateCache(blocks, self.first[index])


def join_caches(caches: Sequence[TemplateCache]) -> TemplateCache:
    """The sequences of several caches, in order. Raises InputError if their templates differ in
    number or size."""
    if not caches:
        raise InputError("there are no templates to join")
    lengths = {cache.blocks[0][0].shape[2] for cache in caches}
    if len(lengths) > 1:
        raise InputError(
            f"templates of {sorted(lengths)} keys cannot be joined; join those with as many "
            "templates of one size"
        )
    blocks = tuple(
        (torch.cat([keys for keys, _ in parts]), torch.cat([values for _, values in parts]))
        for parts in zip(*(cache.blocks for cache in caches), strict=True)
    )
    return TemplateCache(blocks, torch.cat([cache.first for cache in caches]))


def encode_templates(encoder: CvtEncoder, templates: Tensor) -> TemplateCache:
    """Encode templates (B, T, 3, H, W), normalised as the weights expect; T is at least 1.

    Each template passes the convolutions by itself; in attention all T of a sequence look at each
    other (Cui et al., MixFormer, CVPR 2022). Raises InputError on a wrong shape.
    """
    if templates.ndim != 5 or templates.shape[2] != 3 or not templates.numel():
        raise InputError(
            f"templates must be (B, T, 3, H, W), at least one each, got {tuple(templates.shape)}"
        )
    batch, count = templates.shape[:2]
    blocks: list[KeysValues] = []
    found = templates.flatten(0, 1)
    for stage in encoder.stages:
        tokens, each = cast(CvtStage, stage).patch_embed(found)
        assert each.grid is not None
        tokens = tokens.reshape(batch, count * each.count, tokens.shape[2])
        group = Group(count * each.count, each.grid)
        for block in cast(CvtStage, stage).blocks:
            tokens, own = _look(encoder, cast(CvtBlock, block), tokens, group)
            blocks.append(own)
        found = as_map(tokens, each.grid)
    return TemplateCache(tuple(blocks), found.unflatten(0, (batch, count))[:, 0])


def _look(
    encoder: CvtEncoder, block: CvtBlock, tokens: Tensor, group: Group
) -> tuple[Tensor, KeysValues]:
    def run(tokens: Tensor) -> tuple[Tensor, KeysValues]:
        return block(tokens, [group], encoder.training)

    if encoder.checkpointing and torch.is_grad_enabled():
        return cast(tuple[Tensor, KeysValues], checkpoint(run, tokens, use_reentrant=False))
    return run(tokens)
