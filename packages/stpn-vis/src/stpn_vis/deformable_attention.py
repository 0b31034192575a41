"""Multi-scale deformable attention in plain PyTorch (Zhu et al. 2021, "Deformable DETR", eq. 3).

B batch, S tokens of all levels together, Q queries, M heads, D channels of a head, L levels,
P points per head and level. Levels lie one after another in S, each row by row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_vis.build_config import Sampling

Shapes = Sequence[tuple[int, int]]
"""Height and width of each level."""


class DeformableAttention(nn.Module):
    """Each query looks at a few points around its own place, on every level.

    Parameters have the names of facebookresearch/Mask2Former's MSDeformAttn.
    """

    def __init__(
        self,
        dim: int,
        *,
        levels: int = 3,
        heads: int = 8,
        points: int = 4,
        sampling: Sampling = "auto",
    ) -> None:
        super().__init__()
        self.levels, self.heads, self.points = levels, heads, points
        self.sampling: Sampling = sampling
        self.sampling_offsets = nn.Linear(dim, heads * levels * points * 2)
        self.attention_weights = nn.Linear(dim, heads * levels * points)
        self.value_proj = nn.Linear(dim, dim)
        self.output_proj = nn.Linear(dim, dim)
        self._initialise()

    def _initialise(self) -> None:
        """Points of head m lie in direction m, at distances 1..P cells, all of equal weight."""
        angles = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        distances = torch.arange(1, self.points + 1, dtype=torch.float32)
        offsets = directions[:, None, None] * distances[:, None]
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.levels, -1, -1).flatten())
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        query: Tensor,
        reference: Tensor,
        tokens: Tensor,
        shapes: Shapes,
        padding: Tensor | None = None,
    ) -> Tensor:
        """Attend from query (B, Q, M*D) to tokens (B, S, M*D); gives (B, Q, M*D).

        reference (B or 1, Q, L or 1, 2): x, y of each query, 0..1 over the map. padding (B, S) bool:
        tokens that count as zero.
        """
        batch, queries, dim = query.shape
        value = self.value_proj(tokens)
        if padding is not None:
            value = value.masked_fill(padding[..., None], 0)
        per_head = (batch, queries, self.heads, self.levels, self.points)
        offsets = self.sampling_offsets(query).view(*per_head, 2)
        weights = self.attention_weights(query).view(*per_head[:3], -1).softmax(-1).view(per_head)
        scale = offsets.new_tensor([(width, height) for height, width in shapes])
        locations = reference[:, :, None, :, None] + offsets / scale[:, None]
        value = value.view(batch, -1, self.heads, dim // self.heads)
        sample = sampler(self.sampling, value.device)
        return self.output_proj(sample(value, shapes, locations, weights))


Sampler = Callable[[Tensor, Shapes, Tensor, Tensor], Tensor]


def sampler(sampling: Sampling, device: torch.device) -> Sampler:
    """The function behind a name; `auto` takes what `benchmarks/deformable_attention.py` found to
    be the faster one on this kind of device."""
    if sampling == "auto":
        return sample_by_embedding_bag if device.type == "cpu" else sample_by_grid
    return sample_by_grid if sampling == "grid_sample" else sample_by_embedding_bag


def sample_by_grid(value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples of `value`, one `grid_sample` per level.

    value (B, S, M, D), locations (B, Q, M, L, P, 2) as x, y in 0..1 (zero outside), weights
    (B, Q, M, L, P); gives (B, Q, M*D).
    """
    batch, _, heads, dim = value.shape
    queries = locations.shape[1]
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)  # L, B*M, Q, P, 2
    sampled = []
    levels = value.split([height * width for height, width in shapes], dim=1)
    for level, (height, width), grid in zip(levels, shapes, grids, strict=True):
        maps = level.permute(0, 2, 3, 1).reshape(batch * heads, dim, height, width)
        sampled.append(
            F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        )
    together = torch.cat(sampled, -1)  # B*M, D, Q, L*P
    factors = weights.permute(0, 2, 1, 3, 4).reshape(batch * heads, 1, queries, -1)
    summed = (together * factors).sum(-1)  # B*M, D, Q
    return summed.view(batch, heads * dim, queries).transpose(1, 2)


def sample_by_embedding_bag(
    value: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor
) -> Tensor:
    """The same as `sample_by_grid` in one `embedding_bag`, which reads the four neighbours of each
    point out of a table of all tokens and sums them up as it goes."""
    batch, tokens, heads, dim = value.shape
    queries = locations.shape[1]
    size = locations.new_tensor([(width, height) for height, width in shapes])[:, None]
    # In cells from the centre of the first one. A point far outside has no neighbours, wherever it
    # is; without the bounds it would not fit into an integer.
    place = locations.clamp(-1, 2) * size - 0.5
    low = place.detach().floor()
    part = place - low
    sizes, cell = size.int(), low.int()  # half the memory of int64, which is what takes the time
    corners, shares = [], []
    for corner, share in ((cell, 1 - part), (cell + 1, part)):
        corners.append(corner.clamp_min(0).minimum(sizes - 1))
        shares.append(share * (corner == corners[-1]))  # moved by the bounds: outside
    # the table holds token after token, head by head
    row_length, starts = [], [0]
    for height, width in shapes:
        row_length.append(width * heads)
        starts.append(starts[-1] + height * width * heads)
    first = _ints(starts[:-1], value)[:, None] + _ints(range(heads), value)[:, None, None]
    first = first + _ints(range(batch), value).view(-1, 1, 1, 1, 1) * (tokens * heads)
    rows = torch.stack([c[..., 1] for c in corners], -1) * _ints(row_length, value)[:, None, None]
    columns = torch.stack([c[..., 0] for c in corners], -1) * heads
    index = (rows + first[..., None])[..., :, None] + columns[..., None, :]
    down = torch.stack([share[..., 1] for share in shares], -1)
    across = torch.stack([share[..., 0] for share in shares], -1)
    factors = (weights[..., None] * down)[..., :, None] * across[..., None, :]
    bags = batch * queries * heads
    summed = F.embedding_bag(
        index.reshape(bags, -1),
        value.reshape(-1, dim),
        mode="sum",
        per_sample_weights=factors.reshape(bags, -1),
    )
    return summed.view(batch, queries, heads * dim)


def _ints(values: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int32, device=like.device)
