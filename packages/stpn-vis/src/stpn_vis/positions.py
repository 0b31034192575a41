"""Where the cells of a map are: sine positions (Carion et al. 2020, DETR) and cell centres.

h x w map, D channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

TEMPERATURE = 10_000.0


def sine_positions(height: int, width: int, dim: int, like: Tensor) -> Tensor:
    """Positions (D, h, w), `dim` = D, on the device and of the type of `like`.

    The first half of the channels tells the row, the second the column, both scaled to 2 pi over
    the map.
    """
    half = dim // 2
    channel = torch.arange(half, device=like.device, dtype=like.dtype)
    periods = TEMPERATURE ** (2 * (channel // 2) / half)
    rows = _waves(height, periods)[:, None].expand(-1, width, -1)
    columns = _waves(width, periods)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], -1).permute(2, 0, 1)


def _waves(length: int, periods: Tensor) -> Tensor:
    """(length, half): sine in the even channels, cosine in the odd ones."""
    steps = torch.arange(1, length + 1, device=periods.device, dtype=periods.dtype)
    angles = (steps / (length + 1e-6) * 2 * math.pi)[:, None] / periods
    return torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], -1).flatten(1)


def cell_centres(shapes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """x, y in 0..1 of the cells of all levels, row by row: (S, 2)."""
    levels = []
    for height, width in shapes:
        y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
        x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
        levels.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).flatten(0, 1))
    return torch.cat(levels)
