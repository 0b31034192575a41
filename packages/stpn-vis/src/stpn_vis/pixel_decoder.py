"""The pixel decoder of Mask2Former: a transformer over three maps, and a fine map for the masks.

B batch, D channels, S cells of the coarse maps together, strides 4, 8, 16, 32 of a Swin.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core import Features
from stpn_vis.build_config import Sampling
from stpn_vis.deformable_attention import DeformableAttention, Shapes
from stpn_vis.positions import cell_centres, sine_positions

GROUPS = 32


class ConvNorm(nn.Module):
    """Convolution, then GroupNorm over 32 groups."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
        self.norm = nn.GroupNorm(GROUPS, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class EncoderLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, each with its norm behind."""

    def __init__(
        self, dim: int, ffn: int, *, levels: int, heads: int, points: int, sampling: Sampling
    ) -> None:
        super().__init__()
        self.attention = DeformableAttention(
            dim, levels=levels, heads=heads, points=points, sampling=sampling
        )
        self.norm1 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm2 = nn.LayerNorm(dim)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(
        self, tokens: Tensor, positions: Tensor, reference: Tensor, shapes: Shapes
    ) -> Tensor:
        """tokens (B, S, D), positions (B or 1, S, D) added to the queries only."""
        attended = self.attention(tokens + positions, reference, tokens, shapes)
        tokens = self.norm1(tokens + attended)
        return self.norm2(tokens + self.linear2(F.relu(self.linear1(tokens))))


class PixelDecoder(nn.Module):
    """From the encoder's maps to mask features and the maps that queries read.

    channels: of the encoder's maps, finest first; the finest meets the others in one top-down step.
    dim: D of the maps that queries read. mask_dim: channels of the mask features.
    Everything is computed in float32 (or float64), also under autocast.
    """

    def __init__(
        self,
        channels: Sequence[int],
        dim: int = 256,
        mask_dim: int = 256,
        *,
        layers: int = 6,
        ffn: int = 1024,
        heads: int = 8,
        points: int = 4,
        sampling: Sampling = "auto",
    ) -> None:
        super().__init__()
        coarse = channels[:0:-1]
        self.projections = nn.ModuleList(ConvNorm(c, dim, 1, bias=True) for c in coarse)
        self.level_embed = nn.Parameter(torch.empty(len(coarse), dim))
        self.layers = nn.ModuleList(
            EncoderLayer(
                dim, ffn, levels=len(coarse), heads=heads, points=points, sampling=sampling
            )
            for _ in range(layers)
        )
        self.lateral = ConvNorm(channels[0], dim, 1, bias=False)
        self.output = ConvNorm(dim, dim, 3, bias=False)
        self.mask_features = nn.Conv2d(dim, mask_dim, 1)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.level_embed)
        for layer in self.projections:
            assert isinstance(layer, ConvNorm)
            nn.init.xavier_uniform_(layer.conv.weight)
            assert layer.conv.bias is not None
            nn.init.zeros_(layer.conv.bias)
        for conv in (self.lateral.conv, self.output.conv, self.mask_features):
            nn.init.kaiming_uniform_(conv.weight, a=1)
        assert self.mask_features.bias is not None
        nn.init.zeros_(self.mask_features.bias)

    def forward(self, features: Features) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Mask features (B, mask_dim, H/4, W/4), and maps (B, D, h, w) from coarse to fine."""
        with torch.autocast(features.maps[0].device.type, enabled=False):
            return self._decode([_at_least_float32(m) for m in features.maps])

    def _decode(self, maps: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        finest, coarse = maps[0], maps[:0:-1]
        projected = [layer(m) for layer, m in zip(self.projections, coarse, strict=True)]
        shapes = [(m.shape[2], m.shape[3]) for m in projected]
        positions = [
            sine_positions(*shape, m.shape[1], m).flatten(1).T + level
            for shape, m, level in zip(shapes, projected, self.level_embed, strict=True)
        ]
        tokens = torch.cat([m.flatten(2).transpose(1, 2) for m in projected], dim=1)
        reference = cell_centres(shapes, tokens)[None, :, None]
        for layer in self.layers:
            tokens = layer(tokens, torch.cat(positions)[None], reference, shapes)
        levels = [
            level.transpose(1, 2).unflatten(2, shape)
            for level, shape in zip(
                tokens.split([h * w for h, w in shapes], 1), shapes, strict=True
            )
        ]
        upsampled = F.interpolate(
            levels[-1], finest.shape[-2:], mode="bilinear", align_corners=False
        )
        fused = F.relu(self.output(self.lateral(finest) + upsampled))
        return self.mask_features(fused), tuple(levels)


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
