"""Modules of CvT (convolutional vision transformer), with the parameter names of the original.

B batch, C channels of a stage, h x w its map, n tokens, P prompts.

Tokens of a block stand in groups, one after the other: a group with a grid passes attention's depthwise
convolutions as a map, one without goes straight to the linear layers, as CvT's class token does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

BN_EPS = 1e-5

# Keys and values of one block, each (B, heads, m, C / heads).
KeysValues: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Group:
    """`count` tokens that belong together.

    grid: (h, w) if they are a map with h * w = count, or several maps of that size, one after the
    other.
    """

    count: int
    grid: tuple[int, int] | None


class FrozenBatchNorm(nn.Module):
    """Batch norm with fixed statistics: scale and shift of each channel are buffers."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (C,) each."""
        scale = self.weight * (self.running_var + BN_EPS).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, h, w)."""
        scale, shift = self.affine()
        return x * scale[:, None, None].to(x.dtype) + shift[:, None, None].to(x.dtype)


class ConvProjection(nn.Module):
    """Depthwise 3x3 convolution and frozen batch norm."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False)
        self.bn: nn.Module = FrozenBatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, h, w) to (B, C, ceil(h / stride), ceil(w / stride))."""
        return self.bn(self.conv(x))

    def fold(self) -> None:
        """Put the norm into the convolution, which then has a bias; the result stays the same."""
        if not isinstance(self.bn, FrozenBatchNorm):
            return
        scale, shift = self.bn.affine()
        with torch.no_grad():
            self.conv.weight.mul_(scale[:, None, None, None])
        self.conv.bias = nn.Parameter(shift.detach().clone())
        self.bn = nn.Identity()


class CvtAttention(nn.Module):
    """Multi-head attention whose queries, keys and values come from convolved maps.

    The scale is the stage's width to the power -0.5, not the width of a head (microsoft/CvT).
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = channels**-0.5
        self.conv_proj_q = ConvProjection(channels, 1)
        self.conv_proj_k = ConvProjection(channels, 2)
        self.conv_proj_v = ConvProjection(channels, 2)
        self.proj_q = nn.Linear(channels, channels)
        self.proj_k = nn.Linear(channels, channels)
        self.proj_v = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def queries(self, tokens: Tensor, groups: Sequence[Group]) -> Tensor:
        """Queries (B, heads, n, C / heads) of tokens (B, n, C), in order."""
        return self._split(self.proj_q(_convolved(self.conv_proj_q, tokens, groups)))

    def keys_values(self, tokens: Tensor, groups: Sequence[Group]) -> KeysValues:
        """Keys and values (B, heads, m, C / heads) of tokens (B, n, C); a map has a quarter as many
        as tokens."""
        keys = self._split(self.proj_k(_convolved(self.conv_proj_k, tokens, groups)))
        return keys, self._split(self.proj_v(_convolved(self.conv_proj_v, tokens, groups)))

    def mix(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """What the queries gather, (B, n, C)."""
        found = F.scaled_dot_product_attention(queries, keys, values, scale=self.scale)
        return self.proj(found.transpose(1, 2).flatten(2))

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class CvtMlp(nn.Module):
    """Two linear layers around x * sigmoid(1.702 x)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C)."""
        hidden = self.fc1(x)
        gate = (1.702 * hidden).sigmoid_()  # in place: one large buffer less
        return self.fc2(hidden * gate)


class CvtBlock(nn.Module):
    """Attention and MLP, each behind a LayerNorm and added to its input."""

    def __init__(self, channels: int, heads: int, mlp_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = CvtAttention(channels, heads)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = CvtMlp(channels, round(channels * mlp_ratio))

    def finish(self, tokens: Tensor, gathered: Tensor, drop_path: bool) -> Tensor:
        """Tokens (B, n, C) after both residual steps; gathered (B, n, C) from attention."""
        drop = self.drop_path if drop_path else nn.Identity()
        tokens = tokens + drop(gathered)
        return tokens + drop(self.mlp(self.norm2(tokens)))

    def forward(
        self,
        tokens: Tensor,
        groups: Sequence[Group],
        drop_path: bool = False,
        beside: KeysValues | None = None,
        unwanted: int = 0,
    ) -> tuple[Tensor, KeysValues]:
        """Every token looks at all of them, and at what stands `beside` them.

        tokens (B, n, C), the groups one after the other. unwanted: leading groups whose own result
        nobody needs; they are looked at and left out of the result.

        Returns the tokens (B, n, C), less the unwanted, and the keys and values of all of them, which
        others may be given as `beside`.
        """
        seen = self.norm1(tokens)
        own = self.attn.keys_values(seen, groups)
        keys, values = own
        if beside is not None:
            keys = torch.cat([beside[0].to(keys.dtype), keys], dim=2)
            values = torch.cat([beside[1].to(values.dtype), values], dim=2)
        first = sum(group.count for group in groups[:unwanted])
        queries = self.attn.queries(seen[:, first:], groups[unwanted:])
        gathered = self.attn.mix(queries, keys, values)
        return self.finish(tokens[:, first:], gathered, drop_path), own


class ConvEmbed(nn.Module):
    """Strided convolution and LayerNorm over channels: pixels or a map to the next, coarser map."""

    def __init__(self, inputs: int, channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, channels, kernel, stride, padding)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Group]:
        """x (B, C_in, H, W) to tokens (B, h * w, C), and their group."""
        found = self.proj(x)
        height, width = found.shape[2:]
        return self.norm(found.flatten(2).transpose(1, 2)), Group(height * width, (height, width))


class CvtStage(nn.Module):
    """An embedding and its blocks; the last stage of a classifier has a class token as well."""

    cls_token: nn.Parameter | None

    def __init__(
        self, patch_embed: ConvEmbed, blocks: Sequence[CvtBlock], class_token: bool
    ) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.blocks = nn.ModuleList(blocks)
        channels = patch_embed.proj.out_channels
        token = nn.Parameter(torch.zeros(1, 1, channels)) if class_token else None
        self.register_parameter("cls_token", token)


def as_map(tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    """Tokens (B, n, C) of one map, or of several one after the other, as (B * maps, C, h, w)."""
    # not a transpose of (maps, h * w, C): the stride that it gives to a single map hides from
    # convolutions that the map is channels-last, and they copy it there and back
    return tokens.reshape(-1, *grid, tokens.shape[2]).permute(0, 3, 1, 2)


def fold_batch_norms(module: nn.Module) -> None:
    """Put every frozen batch norm below `module` into its convolution: fewer operations, the same
    result up to rounding. Weights saved afterwards fit folded models only."""
    for part in module.modules():
        if isinstance(part, ConvProjection):
            part.fold()


def _convolved(projection: ConvProjection, tokens: Tensor, groups: Sequence[Group]) -> Tensor:
    parts = tokens.split([group.count for group in groups], dim=1)
    found = [
        part if group.grid is None else _convolved_maps(projection, part, group.grid)
        for part, group in zip(parts, groups, strict=True)
    ]
    return found[0] if len(found) == 1 else torch.cat(found, dim=1)


def _convolved_maps(projection: ConvProjection, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
    found = projection(as_map(tokens, grid)).flatten(2).transpose(1, 2)
    return found.reshape(len(tokens), -1, tokens.shape[2])
