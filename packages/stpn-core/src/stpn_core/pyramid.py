"""Simple feature pyramid: maps at four strides from the one map of a plain vision transformer.

After ViTDet (Li et al. 2022, "Exploring Plain Vision Transformer Backbones for Object Detection",
sec. 3): transposed convolutions for finer maps, max pooling for coarser ones, then a 1x1 and a 3x3
convolution, each followed by LayerNorm over channels.

Shapes: B batch, D transformer width, C pyramid channels, H x W image pixels, s stride of a level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F


class SimpleFeaturePyramid(nn.Module):
    """Maps (B, C, ceil(H/s), ceil(W/s)) for each stride s from a map (B, D, ceil(H/p), ceil(W/p)).

    dim: D. patch: pixels p per cell of the incoming map. channels: C.
    strides: powers of two. A patch that is not a power of two (14) is resampled to the nearest one
    (16) first, so that levels keep the strides that detection heads expect.
    """

    def __init__(
        self, dim: int, patch: int, channels: int, strides: Sequence[int] = (4, 8, 16, 32)
    ) -> None:
        super().__init__()
        self.channels = channels
        self.patch = patch
        self.base = 2 ** round(math.log2(patch))
        self.strides = tuple(strides)
        self.levels = nn.ModuleList(_level(dim, channels, self.base, s) for s in self.strides)

    def forward(self, patches: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """patches (B, D, h, w) of an image of size (H, W) pixels, before any padding."""
        height, width = size
        if self.patch != self.base:
            patches = _resample(patches, self.patch, self.base, size)
        return tuple(
            level(patches)[..., : -(-height // s), : -(-width // s)]
            for level, s in zip(self.levels, self.strides, strict=True)
        )


def _level(dim: int, channels: int, base: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    if stride > base:
        factor = stride // base
        layers.append(nn.MaxPool2d(factor, factor, ceil_mode=True))
    while stride < base:
        if layers:
            layers += [LayerNorm2d(dim), nn.GELU()]
        layers.append(nn.ConvTranspose2d(dim, dim // 2, 2, 2))
        dim //= 2
        stride *= 2
    return nn.Sequential(
        *layers,
        nn.Conv2d(dim, channels, 1, bias=False),
        LayerNorm2d(channels),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        LayerNorm2d(channels),
    )


def _resample(patches: Tensor, patch: int, base: int, size: tuple[int, int]) -> Tensor:
    """From cells of `patch` pixels to cells of `base` pixels, keeping both grids' corners at 0.

    The map is continued at its right and bottom edge so that the coarser grid covers the image; the
    scale factor is given instead of a size because the latter would stretch the map.
    """
    rows, columns = (-(-s // base) for s in size)
    bottom = max(0, -(-rows * base // patch) - patches.shape[-2])
    right = max(0, -(-columns * base // patch) - patches.shape[-1])
    patches = F.pad(patches, (0, right, 0, bottom), mode="replicate")
    resampled = F.interpolate(patches, scale_factor=patch / base, mode="bilinear")
    return resampled[..., :rows, :columns]
