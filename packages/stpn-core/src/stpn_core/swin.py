"""Swin transformer that takes prompts: our own walk over an unmodified timm model.

B batch, H x W image, h x w map, C_i channels of stage i, P prompts.

The walk is the detection form of Swin: the image is padded to whole patches, maps are padded before
the roll, the window keeps its size and every odd block shifts, also where the map is smaller than a
window. It equals timm where timm's padding does not bite (maps that are whole windows).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from timm.layers import ClassifierHead
from timm.models.swin_transformer import (
    PatchMerging,
    SwinTransformer,
    SwinTransformerBlock,
    SwinTransformerStage,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from stpn_core.encoder import PromptedEncoder, PromptMerge, Prompts, check_prompts
from stpn_core.errors import InputError
from stpn_core.features import Features
from stpn_core.swin_block import block_forward, merge_prompts
from stpn_core.swin_windows import shift_mask


class SwinEncoder(PromptedEncoder):
    """Prompted Swin.

    body: a timm SwinTransformer built with always_partition=True, strict_img_size=False and square
        windows; its parameters keep their timm names under `body.`. Its head is dropped, and its
        last norm moves to `norms.<last>`.
    prompt_merge: how prompts pass patch merging, see `merge_prompts`.
    checkpointing: recompute each block in the backward pass.
    out_indices: stages to return; each has a LayerNorm of its own, `norms.<stage>`.
    """

    def __init__(
        self,
        body: SwinTransformer,
        *,
        prompt_merge: PromptMerge = "aligned",
        checkpointing: bool = False,
        out_indices: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        depth = len(body.layers)
        self.out_indices = _checked_indices(out_indices, depth)
        if prompt_merge not in ("aligned", "released"):
            raise InputError(f"prompt_merge must be aligned or released, got {prompt_merge!r}")
        self.body = body
        self.prompt_merge: PromptMerge = prompt_merge
        self.checkpointing = checkpointing
        self.patch = cast(tuple[int, int], body.patch_embed.patch_size)[0]
        blocks = [_blocks(stage) for stage in _stages(body)]
        dims = [int(stage[0].dim) for stage in blocks]
        self.channels = tuple(dims[i] for i in self.out_indices)
        self.strides = tuple(self.patch * 2**i for i in self.out_indices)
        self.prompt_dim = dims[0]
        self.prompt_dims = tuple(d for d, stage in zip(dims, blocks, strict=True) for _ in stage)
        self.support_dim = dims[-1]
        normed = sorted({*self.out_indices, depth - 1})
        self.norms = nn.ModuleDict({str(i): nn.LayerNorm(dims[i]) for i in normed})
        self.norms[str(depth - 1)] = body.norm
        # an Identity, so that no parameter is left without a gradient
        body.norm, body.head = nn.Identity(), cast(ClassifierHead, nn.Identity())

    def forward(self, images: Tensor, prompts: Prompts | None = None) -> Features:
        """See `PromptedEncoder`: shallow prompts pass every block, deep ones enter one each."""
        self._check(images, prompts)
        maps = self._walk(images, prompts, self.out_indices[-1], self.training)
        normed = (self.norms[str(i)](maps[i]) for i in self.out_indices)
        return Features(tuple(m.permute(0, 3, 1, 2) for m in normed), self.strides)

    def embed(self, images: Tensor) -> Tensor:
        """See `PromptedEncoder`: the last stage's map (B, h, w, C) after its norm."""
        self._check(images, None)
        last = len(self.body.layers) - 1
        return self.norms[str(last)](self._walk(images, None, last, False)[last])

    def _walk(
        self, images: Tensor, prompts: Prompts | None, last: int, drop_path: bool
    ) -> list[Tensor]:
        """Maps (B, h, w, C_i) of stages 0..last before their norm."""
        height, width = images.shape[2:]
        x = self.body.patch_embed(F.pad(images, (0, -width % self.patch, 0, -height % self.patch)))
        deep = None if prompts is None or isinstance(prompts, Tensor) else iter(prompts)
        carried = prompts.to(x.dtype) if isinstance(prompts, Tensor) else None
        maps = []
        for index, stage in enumerate(_stages(self.body)[: last + 1]):
            if index:
                x, carried = self._merge(cast(PatchMerging, stage.downsample), x, carried)
            blocks = _blocks(stage)
            mask = _stage_mask(blocks, x)
            for block in blocks:
                if deep is not None:
                    carried = next(deep).to(x.dtype)
                wanted = deep is None and not (index == last and block is blocks[-1])
                x, carried = self._block(block, x, carried, mask, wanted, drop_path)
            maps.append(x)
        return maps

    def _merge(
        self, merging: PatchMerging, x: Tensor, prompts: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        if prompts is not None:
            prompts = merge_prompts(merging, prompts, self.prompt_merge == "released")
        return merging(x), prompts

    def _block(self, block: SwinTransformerBlock, *args: Any) -> tuple[Tensor, Tensor | None]:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block_forward, block, *args, use_reentrant=False)
        return block_forward(block, *args)

    def _check(self, images: Tensor, prompts: Prompts | None) -> None:
        if images.ndim != 4 or images.shape[1] != 3 or not images.shape[2] * images.shape[3]:
            raise InputError(
                f"images must be (B, 3, H, W), at least one pixel, got {tuple(images.shape)}"
            )
        if prompts is not None:
            check_prompts(prompts, images.shape[0], self.prompt_dim, self.prompt_dims)


def _stages(body: SwinTransformer) -> list[SwinTransformerStage]:
    return cast(list[SwinTransformerStage], list(body.layers))


def _blocks(stage: SwinTransformerStage) -> list[SwinTransformerBlock]:
    return cast(list[SwinTransformerBlock], list(stage.blocks))


def _stage_mask(blocks: Sequence[SwinTransformerBlock], x: Tensor) -> Tensor | None:
    """The shift mask that all shifted blocks of a stage share."""
    for block in blocks:
        if any(block.shift_size):
            height, width = x.shape[1:3]
            return shift_mask(height, width, block.window_size[0], block.shift_size[0], x.device)
    return None


def _checked_indices(out_indices: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    chosen = tuple(range(depth) if out_indices is None else out_indices)
    if not chosen or chosen != tuple(sorted(set(chosen) & set(range(depth)))):
        raise InputError(
            f"out_indices must be increasing stages out of 0..{depth - 1}, got {list(chosen)}"
        )
    return chosen
