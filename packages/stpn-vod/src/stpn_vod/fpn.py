"""Feature pyramid network (Lin et al. 2017) over the maps of an encoder."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn import functional as F

from stpn_core import Features


class FeaturePyramid(nn.Module):
    """Laterals, top-down sums, 3×3 outputs, and one more level by taking every second cell.

    All convolutions have a bias and neither norm nor activation.
    """

    def __init__(self, in_channels: Sequence[int], channels: int = 256) -> None:
        super().__init__()
        self.channels = channels
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.output = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels
        )
        for convolution in (*self.lateral, *self.output):
            nn.init.xavier_uniform_(convolution.weight)
            nn.init.zeros_(convolution.bias)

    def forward(self, features: Features) -> Features:
        """n maps (B, C_i, H_i, W_i), finest first -> n + 1 maps (B, channels, H_i, W_i)."""
        maps = [lateral(level) for lateral, level in zip(self.lateral, features.maps, strict=True)]
        for finer in range(len(maps) - 2, -1, -1):
            size = maps[finer].shape[-2:]
            maps[finer] = maps[finer] + F.interpolate(maps[finer + 1], size=size, mode="nearest")
        maps = [output(level) for output, level in zip(self.output, maps, strict=True)]
        coarsest = F.max_pool2d(maps[-1], kernel_size=1, stride=2)
        return Features((*maps, coarsest), (*features.strides, 2 * features.strides[-1]))
