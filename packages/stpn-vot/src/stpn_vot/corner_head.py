"""A box as the expected places of its two corners.

B batch, C channels, h x w the map. Both heads come from MixFormer (lib/models/mixformer_cvt/head.py);
its CvT models have the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core.cvt_parts import BN_EPS, FrozenBatchNorm


class BatchNorm(nn.Module):
    """Batch norm without torch's counter of batches, so that its state is a FrozenBatchNorm's."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, h, w); in training by the batch's own statistics, which join the running ones."""
        statistics = self.running_mean, self.running_var
        return F.batch_norm(x, *statistics, self.weight, self.bias, self.training, 0.1, BN_EPS)


class ConvStep(nn.Module):
    """Convolution 3x3, batch norm, ReLU."""

    def __init__(self, inputs: int, channels: int, *, frozen: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, 3, padding=1)
        self.norm = FrozenBatchNorm(channels) if frozen else BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, h, w) to (B, C_out, h, w)."""
        return F.relu(self.norm(self.conv(x)))


class PlainCorner(nn.Module):
    """Where one corner is: five convolutions at the map's own resolution.

    channels: of the first; every further one halves them (384: 384, 192, 96, 48, 1).
    """

    def __init__(self, inputs: int, channels: int, *, frozen: bool) -> None:
        super().__init__()
        self.steps = nn.Sequential(*_steps([inputs, *_halved(channels)], frozen))
        self.last = nn.Conv2d(channels // 8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to logits (B, 1, h, w)."""
        return self.last(self.steps(x))


class PyramidCorner(nn.Module):
    """Where one corner is, on a map four times as fine ("CORNER_UP").

    The map is doubled twice between convolutions; each time the input joins in anew, and the logits
    of the two coarser levels are added to those of the finest.
    """

    def __init__(self, inputs: int, channels: int, *, frozen: bool) -> None:
        super().__init__()
        widths = _halved(channels)
        self.steps = nn.ModuleList(_steps([inputs, *widths], frozen))
        self.last = nn.Conv2d(widths[3], 1, 1)
        self.joining = nn.ModuleList(
            ConvStep(inputs, width, frozen=frozen) for width in widths[1:3]
        )
        self.coarse = nn.ModuleList(
            nn.Sequential(*_steps(sizes, frozen)) for sizes in ([*widths[1:], 1], [*widths[2:], 1])
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to logits (B, 1, 4 h, 4 w)."""
        coarse = self.steps[1](self.steps[0](x))
        middle = self.steps[2](_finer(self.joining[0](x) + coarse, 2))
        fine = self.steps[3](_finer(self.joining[1](x), 4) + _finer(middle, 2))
        logits = _finer(self.coarse[0](coarse), 4) + _finer(self.coarse[1](middle), 2)
        return self.last(fine) + logits


class CornerHead(nn.Module):
    """Two corners, each found by a branch of its own.

    corner: PlainCorner or PyramidCorner. channels: a multiple of 8. frozen: batch norms keep their
    statistics, scale and shift, as in the second stage of training; the weights' names are the same.
    """

    def __init__(
        self,
        corner: type[PlainCorner] | type[PyramidCorner],
        inputs: int,
        channels: int,
        *,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.top_left = corner(inputs, channels, frozen=frozen)
        self.bottom_right = corner(inputs, channels, frozen=frozen)

    def forward(self, features: Tensor) -> Tensor:
        """Maps (B, C, h, w) to boxes (B, 4), x1 y1 x2 y2 in sides of the map.

        A box reaches at most (w - 1) / w and may be unordered (x2 < x1), as in the original.
        """
        corners = [expected_place(logits) for logits in self.logits(features)]
        return torch.cat(corners, dim=1)

    def logits(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, C, h, w) to logits of the top left and bottom right corner (B, 1, h', w')."""
        return self.top_left(features), self.bottom_right(features)


def expected_place(logits: Tensor) -> Tensor:
    """The mean x and y (B, 2) of cells drawn by softmax over logits (B, 1, h, w).

    A cell's place is its upper left corner, in sides of the map: 0, 1 / w, ... (w - 1) / w.
    """
    height, width = logits.shape[2:]
    # sums over hundreds of cells in half precision would cost pixels
    chance = logits.float().flatten(1).softmax(1).unflatten(1, (height, width))
    x = chance.sum(1) @ torch.arange(width, device=logits.device).to(chance) / width
    y = chance.sum(2) @ torch.arange(height, device=logits.device).to(chance) / height
    return torch.stack([x, y], dim=1)


def _steps(widths: Sequence[int], frozen: bool) -> list[ConvStep]:
    return [ConvStep(inputs, outputs, frozen=frozen) for inputs, outputs in pairwise(widths)]


def _halved(channels: int) -> list[int]:
    return [channels // 2**step for step in range(4)]


def _finer(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="nearest")
