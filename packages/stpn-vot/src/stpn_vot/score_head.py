"""How sure a tracker is of its box: MixFormer's score prediction module.

B batch, C channels, h x w a map, s x s pooled cells.
"""

from __future__ import annotations

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core.errors import InputError
from stpn_vot.prroi import precise_roi_pool


class TokenAttention(nn.Module):
    """One token gathers others by attention; no residual, a LayerNorm behind it.

    The scale is the width to the power -0.5, not that of a head.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, token: Tensor, memory: Tensor) -> Tensor:
        """token (B, 1, C), memory (B, n, C), to (B, 1, C)."""
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, token), (self.key, memory), (self.value, memory))
        )
        scale = token.shape[2] ** -0.5
        found = F.scaled_dot_product_attention(query, key, value, scale=scale)
        return self.norm(self.out(found.transpose(1, 2).flatten(2)))


class ScoreHead(nn.Module):
    """A learned token looks at what is in the box, then at the first template, and is judged.

    Source: lib/models/mixformer_cvt/score_decoder.py. pool: cells per side of the pooled box.
    Raises InputError if the channels do not split over the heads.
    """

    def __init__(self, channels: int, heads: int, pool: int = 4) -> None:
        super().__init__()
        if heads < 1 or channels % heads:
            raise InputError(f"score_heads={heads} does not split {channels} channels")
        self.pool = pool
        self.token = nn.Parameter(torch.zeros(1, 1, channels))
        self.norm = nn.LayerNorm(channels)
        self.attentions = nn.ModuleList(TokenAttention(channels, heads) for _ in range(2))
        self.mlp = nn.ModuleList(nn.Linear(channels, width) for width in (channels, channels, 1))
        trunc_normal_(self.token, std=0.02)

    def forward(self, search: Tensor, template: Tensor, boxes: Tensor) -> Tensor:
        """Logits (B,) that boxes hold the target.

        search (B, C, h, w), template (B, C, h_t, w_t): last maps. boxes (B, 4): x1 y1 x2 y2 in
        sides of the search region; an inverted one pools zeros.
        """
        height, width = search.shape[2:]
        cells = boxes * boxes.new_tensor([width, height, width, height])
        pooled = precise_roi_pool(search, cells, self.pool)
        token = self.norm(self.token.expand(len(search), -1, -1))
        for attention, seen in zip(self.attentions, (pooled, template), strict=True):
            token = attention(token, seen.flatten(2).transpose(1, 2))
        hidden = token[:, 0]
        for layer in list(self.mlp)[:-1]:
            hidden = F.relu(layer(hidden))
        return self.mlp[2](hidden)[:, 0]
