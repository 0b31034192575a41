"""CvT that takes prompts.

B batch, H x W image, P prompts, C_i channels of stage i.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from stpn_core.cvt_parts import CvtBlock, CvtStage, Group, KeysValues, as_map
from stpn_core.cvt_prompts import (
    LinearDownscale,
    PromptAttention,
    PromptDownscale,
    check_choices,
    downscale_by_conv,
    side_of,
)
from stpn_core.encoder import PromptedEncoder, Prompts, check_prompts
from stpn_core.errors import InputError
from stpn_core.features import Features

PATCH = 4


class CvtEncoder(PromptedEncoder):
    """Prompted CvT (microsoft/CvT), for dense maps: what each stage gives, without a norm.

    stages: see `cvt_build`. prompt_attention: "bypass" lets prompts skip the depthwise convolutions
        of attention, as CvT's class token does; "map" takes them through as a square map.
    prompt_downscale: how shallow prompts change stage. "conv" passes the next embedding as a map
        (paper, 4 or 9 prompts), "linear" has layers of its own. With "predict" the deep prompts are
        one set per stage, which travels through the stage's blocks, instead of one per block.
    checkpointing: recompute each block in the backward pass.
    out_indices: stages to return.
    """

    def __init__(
        self,
        stages: Sequence[CvtStage],
        *,
        prompt_attention: PromptAttention = "bypass",
        prompt_downscale: PromptDownscale = "conv",
        checkpointing: bool = False,
        out_indices: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        check_choices(prompt_downscale, prompt_attention)
        depth = len(stages)
        chosen = tuple(range(depth) if out_indices is None else out_indices)
        if not chosen or chosen != tuple(sorted(set(chosen) & set(range(depth)))):
            raise InputError(
                f"out_indices must be increasing stages out of 0..{depth - 1}, got {list(chosen)}"
            )
        self.stages = nn.ModuleList(stages)
        self.prompt_attention = prompt_attention
        self.prompt_downscale = prompt_downscale
        self.checkpointing = checkpointing
        self.out_indices = chosen
        dims = [stage.patch_embed.proj.out_channels for stage in stages]
        self.channels = tuple(dims[i] for i in chosen)
        self.strides = tuple(PATCH * 2**i for i in chosen)
        self.prompt_dim = dims[0]
        counts = [self._sets_of(stage) for stage in stages]
        self.prompt_dims = tuple(d for d, n in zip(dims, counts, strict=True) for _ in range(n))
        self.support_dim = dims[-1]
        self.linear_downscale = (
            LinearDownscale([stage.patch_embed for stage in stages[1:]])
            if prompt_downscale == "linear"
            else None
        )

    def forward(
        self,
        images: Tensor,
        prompts: Prompts | None = None,
        beside: Sequence[KeysValues] | None = None,
    ) -> Features:
        """See `PromptedEncoder`. Raises InputError for shallow prompts with "predict", which has
        no way to the next stage.

        beside: for each block, keys and values of other tokens that images and prompts look at,
        too, such as a tracker's templates.
        """
        self._check(images, prompts, beside)
        maps = self._walk(images, prompts, self.out_indices[-1], self.training, beside)
        return Features(tuple(maps[i] for i in self.out_indices), self.strides)

    def embed(self, images: Tensor, beside: Sequence[KeysValues] | None = None) -> Tensor:
        """See `PromptedEncoder`: the last stage's map (B, h, w, C). beside: see `forward`."""
        self._check(images, None, beside)
        maps = self._walk(images, None, len(self.stages) - 1, False, beside)
        return maps[-1].permute(0, 2, 3, 1)

    def prompt_group(self, count: int) -> Group:
        """How attention takes `count` prompts."""
        if self.prompt_attention == "bypass":
            return Group(count, None)
        side = side_of(count)
        return Group(count, (side, side))

    def next_stage(self, index: int, prompts: Tensor) -> Tensor:
        """Prompts (B, P, C_index-1) after stage index-1 as they enter stage `index`."""
        if self.linear_downscale is not None:
            return self.linear_downscale.steps[index - 1](prompts)
        return downscale_by_conv(self._stage(index).patch_embed, prompts)

    def _walk(
        self,
        images: Tensor,
        prompts: Prompts | None,
        last: int,
        drop_path: bool,
        beside: Sequence[KeysValues] | None,
    ) -> list[Tensor]:
        """Maps (B, C_i, h_i, w_i) of stages 0..last."""
        others = None if beside is None else iter(beside)
        height, width = images.shape[2:]
        found = F.pad(images, (0, -width % PATCH, 0, -height % PATCH))
        deep = None if prompts is None or isinstance(prompts, Tensor) else iter(prompts)
        carried = prompts if isinstance(prompts, Tensor) else None
        maps = []
        for index in range(last + 1):
            stage = self._stage(index)
            patches, group = stage.patch_embed(found)
            if index and carried is not None:
                carried = self.next_stage(index, carried)
            entering = {} if carried is None else {0: carried}
            if deep is not None:
                entering = dict(enumerate(islice(deep, self._sets_of(stage))))
            goes_on = carried is not None and index < last
            tokens, carried = self._stage_blocks(
                stage, patches, group, entering, goes_on, drop_path, others
            )
            assert group.grid is not None
            found = as_map(tokens, group.grid)
            maps.append(found)
        return maps

    def _stage_blocks(
        self,
        stage: CvtStage,
        patches: Tensor,
        group: Group,
        entering: Mapping[int, Tensor],
        goes_on: bool,
        drop_path: bool,
        beside: Iterator[KeysValues] | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Patches after the blocks of a stage, and its prompts if they go on to the next one.

        entering: prompts by number of the block in front of which they take the place of others.
        """
        tokens, plain = patches, [group]
        if stage.cls_token is not None:
            tokens = torch.cat([stage.cls_token.expand(len(patches), -1, -1), patches], dim=1)
            plain = [Group(1, None), group]
        prompts: list[Group] = []
        for number, block in enumerate(stage.blocks):
            if number in entering:
                tokens = torch.cat([entering[number].to(tokens.dtype), tokens], dim=1)
                prompts = [self.prompt_group(entering[number].shape[1])]
            at_end = number + 1 == len(stage.blocks) and not goes_on
            unwanted = len(prompts) if at_end or number + 1 in entering else 0
            groups = [*prompts, *plain]
            other = None if beside is None else next(beside)
            tokens = self._block(cast(CvtBlock, block), tokens, groups, drop_path, other, unwanted)
            prompts = prompts[unwanted:]
        return tokens[:, -group.count :], tokens[:, : prompts[0].count] if prompts else None

    def _block(
        self,
        block: CvtBlock,
        tokens: Tensor,
        groups: list[Group],
        drop_path: bool,
        beside: KeysValues | None,
        unwanted: int,
    ) -> Tensor:
        if not (self.checkpointing and torch.is_grad_enabled()):
            return block(tokens, groups, drop_path, beside, unwanted)[0]

        def run(tokens: Tensor, other: KeysValues | None) -> Tensor:
            return block(tokens, groups, drop_path, other, unwanted)[0]

        return cast(Tensor, checkpoint(run, tokens, beside, use_reentrant=False))

    def _sets_of(self, stage: CvtStage) -> int:
        """How many sets of deep prompts enter a stage."""
        return 1 if self.prompt_downscale == "predict" else len(stage.blocks)

    def _stage(self, index: int) -> CvtStage:
        return cast(CvtStage, self.stages[index])

    def _check(
        self,
        images: Tensor,
        prompts: Prompts | None,
        beside: Sequence[KeysValues] | None,
    ) -> None:
        if images.ndim != 4 or images.shape[1] != 3 or not images.shape[2] * images.shape[3]:
            raise InputError(
                f"images must be (B, 3, H, W), at least one pixel, got {tuple(images.shape)}"
            )
        blocks = sum(len(cast(CvtStage, stage).blocks) for stage in self.stages)
        if beside is not None and len(beside) != blocks:
            raise InputError(f"this encoder has {blocks} blocks, got {len(beside)} for beside")
        if prompts is None:
            return
        if isinstance(prompts, Tensor) and self.prompt_downscale == "predict":
            raise InputError("prompt_downscale='predict' takes one set of prompts per stage")
        check_prompts(prompts, images.shape[0], self.prompt_dim, self.prompt_dims)
