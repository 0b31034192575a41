"""SELSA (Wu et al. 2019): regions of a frame look at regions of other frames before they are judged.

R regions of one frame, N reference regions, C channels of a region vector.
The names of the four linear layers, and the order of steps, are those of the released
implementation (mmtracking, `SelsaAggregator` and `SelsaBBoxHead`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core.errors import InputError
from stpn_vod.roi_head import RoIHead


@dataclass(frozen=True, eq=False)
class References:
    """Regions that others may look at, in the form in which the two aggregators read them.

    keys, values: one (N, C) for each aggregator. They do not depend on who looks, so a frame that
    supports many others is projected once.
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.keys[0])


def join_references(parts: Sequence[References]) -> References:
    """References of several frames as those of one; there must be one part at least."""
    return References(
        tuple(torch.cat(layer) for layer in zip(*(part.keys for part in parts), strict=True)),
        tuple(torch.cat(layer) for layer in zip(*(part.values for part in parts), strict=True)),
    )


class SelsaAggregator(nn.Module):
    """Multi-head attention of regions over references; gives the aggregate alone, no residual.

    Initialised as PyTorch does. 4 C (C + 1) parameters.
    """

    def __init__(self, channels: int = 1024, num_heads: int = 16) -> None:
        super().__init__()
        if channels % num_heads:
            raise InputError(
                f"SELSA splits region vectors over {num_heads} heads, which {channels} channels "
                f"do not allow; set fc_channels to a multiple of {num_heads}"
            )
        self.num_heads = num_heads
        self.fc_embed = nn.Linear(channels, channels)
        self.ref_fc_embed = nn.Linear(channels, channels)
        self.ref_fc = nn.Linear(channels, channels)
        self.fc = nn.Linear(channels, channels)

    def project(self, references: Tensor) -> tuple[Tensor, Tensor]:
        """Reference vectors (N, C) -> their keys and values, (N, C) each."""
        return self.ref_fc_embed(references), self.ref_fc(references)

    def forward(self, regions: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """What regions (R, C) gather from keys and values (N, C): (R, C); N may be 0."""
        queries, keys, values = (self._split(v) for v in (self.fc_embed(regions), keys, values))
        if len(regions) and keys.shape[2]:
            gathered = F.scaled_dot_product_attention(queries, keys, values)
        else:  # nothing to weigh, which not every attention kernel takes: zeros, still connected
            gathered = queries @ (keys.transpose(2, 3) @ values)
        return self.fc(gathered.squeeze(0).transpose(0, 1).flatten(1))

    def _split(self, vectors: Tensor) -> Tensor:
        """(n, C) -> (1, heads, n, C / heads)."""
        return vectors.unflatten(1, (self.num_heads, -1)).transpose(0, 1)[None]


class SelsaHead(nn.Module):
    """An aggregator behind each of the two hidden layers of a `RoIHead`, in front of its ReLU.

    Holds the aggregators alone: the RoI head, whose weights a plain detector shares, is given to
    each call. +8,396,800 parameters at 1024 channels.
    """

    def __init__(self, channels: int = 1024, num_heads: int = 16) -> None:
        super().__init__()
        self.aggregators = nn.ModuleList(SelsaAggregator(channels, num_heads) for _ in range(2))

    def refer(self, roi: RoIHead, first: Tensor) -> References:
        """Regions (N, C) behind the first layer, before its ReLU -> what others read of them.

        References do not aggregate: their second layer is that of the plain head.
        """
        second = roi.fc2(F.relu(first))
        projected = [
            aggregator.project(vectors)  # type: ignore[operator]
            for aggregator, vectors in zip(self.aggregators, (first, second), strict=True)
        ]
        return References(tuple(k for k, _ in projected), tuple(v for _, v in projected))

    def forward(self, roi: RoIHead, first: Tensor, references: References) -> tuple[Tensor, Tensor]:
        """Regions (R, C) behind the first layer, before its ReLU -> logits (R, classes + 1) and
        deltas (R, classes, 4)."""
        hidden = F.relu(first + self._aggregate(0, first, references))
        second = roi.fc2(hidden)
        return roi.predict(F.relu(second + self._aggregate(1, second, references)))

    def _aggregate(self, layer: int, regions: Tensor, references: References) -> Tensor:
        aggregated: Tensor = self.aggregators[layer](
            regions, references.keys[layer], references.values[layer]
        )
        return aggregated
