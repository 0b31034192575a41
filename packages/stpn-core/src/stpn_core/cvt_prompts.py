"""Prompts on their way through CvT.

B batch, P prompts, C_i channels of stage i.

The paper has nine prompts there, a 3 x 3 map that passes the embedding of the next stage like any
map and stays 3 x 3, with zero padding "of size 2" (section 5.4 of the supplement). With a 3 x 3
kernel and stride 2 a padding of 2 in all does that; adding 2 to the layer's own padding of 1 would
make it 4 x 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core.cvt_parts import ConvEmbed, as_map
from stpn_core.errors import InputError

PromptDownscale: TypeAlias = Literal["conv", "linear", "predict"]
PromptAttention: TypeAlias = Literal["bypass", "map"]
PADDING = 2


def side_of(count: int) -> int:
    """Side of the square map that `count` prompts are. Raises InputError if they are none."""
    side = round(count**0.5)
    if side * side != count:
        raise InputError(
            f"{count} prompts are no square map; CvT takes 4 or 9 of them (the paper 9), or any "
            "number with prompt_downscale='linear' or 'predict' and prompt_attention='bypass'"
        )
    return side


def downscale_by_conv(embed: ConvEmbed, prompts: Tensor) -> Tensor:
    """Prompts (B, P, C_i) to (B, P, C_i+1) through the next stage's embedding, as a square map.

    Raises InputError where the map would not keep its size: only 2 x 2 and 3 x 3 do.
    """
    side = side_of(prompts.shape[1])
    grid = as_map(prompts, (side, side))
    found = F.conv2d(grid, embed.proj.weight, embed.proj.bias, embed.proj.stride, PADDING)
    if found.shape[2:] != grid.shape[2:]:
        raise InputError(
            f"{side * side} prompts would become {found.shape[2] * found.shape[3]} on their way to "
            "the next stage; use 4 or 9 of them, or prompt_downscale='linear'"
        )
    return embed.norm(found.flatten(2).transpose(1, 2))


class LinearDownscale(nn.Module):
    """Linear layers between stages, each started from the middle tap of the stage's embedding."""

    def __init__(self, embeds: Sequence[ConvEmbed]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            nn.Linear(embed.proj.in_channels, embed.proj.out_channels) for embed in embeds
        )
        self.start_from(embeds)

    @torch.no_grad()
    def start_from(self, embeds: Sequence[ConvEmbed]) -> None:
        """Take the embeddings' middle taps; for after their weights were loaded."""
        for module, embed in zip(self.steps, embeds, strict=True):
            step, middle = cast(nn.Linear, module), embed.proj.kernel_size[0] // 2
            step.weight.copy_(embed.proj.weight[:, :, middle, middle])
            assert embed.proj.bias is not None
            step.bias.copy_(embed.proj.bias)


def check_choices(downscale: str, attention: str) -> None:
    """Raise InputError for a word that is none."""
    for name, value, choices in (
        ("prompt_downscale", downscale, get_args(PromptDownscale)),
        ("prompt_attention", attention, get_args(PromptAttention)),
    ):
        if value not in choices:
            raise InputError(f"{name} must be {', '.join(choices)}, not {value!r}")
