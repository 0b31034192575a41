"""The query decoder of Mask2Former with one frame at a time (MinVIS): queries look at maps where
they last saw their object.

B batch, Q queries, D width, C classes, h x w a map, N = h*w its cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_vis.positions import sine_positions


class Attention(nn.Module):
    """Multi-head attention with torch's parameter names, and one mask for all heads."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """query (B, Q, D); key and value (B, N, D); allowed (B, Q, N) bool, None for all."""
        q, k, v = (
            F.linear(x, weight, bias).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for x, weight, bias in zip(
                (query, key, value),
                self.in_proj_weight.chunk(3),
                self.in_proj_bias.chunk(3),
                strict=True,
            )
        )
        mask = None if allowed is None else allowed[:, None]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out_proj(attended.transpose(1, 2).flatten(2))


class DecoderLayer(nn.Module):
    """Masked cross-attention, self-attention, feed-forward network, each with its norm behind."""

    def __init__(self, dim: int, ffn: int, heads: int) -> None:
        super().__init__()
        self.cross_attention = Attention(dim, heads)
        self.cross_norm = nn.LayerNorm(dim)
        self.self_attention = Attention(dim, heads)
        self.self_norm = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.ffn_norm = nn.LayerNorm(dim)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(
        self, queries: Tensor, places: Tensor, tokens: Tensor, positions: Tensor, allowed: Tensor
    ) -> Tensor:
        """queries (B, Q, D), places (Q, D) their learnt positions; tokens (B, N, D) with positions
        (N, D); allowed (B, Q, N)."""
        attended = self.cross_attention(queries + places, tokens + positions, tokens, allowed)
        queries = self.cross_norm(queries + attended)
        placed = queries + places
        queries = self.self_norm(queries + self.self_attention(placed, placed, queries))
        return self.ffn_norm(queries + self.linear2(F.relu(self.linear1(queries))))


class QueryDecoder(nn.Module):
    """Learnt queries, decoder layers that read the maps in turn, and the heads.

    dim: D. levels: maps from coarse to fine, read round-robin.
    """

    def __init__(
        self,
        num_classes: int,
        dim: int = 256,
        mask_dim: int = 256,
        *,
        queries: int = 100,
        layers: int = 9,
        ffn: int = 2048,
        heads: int = 8,
        levels: int = 3,
    ) -> None:
        super().__init__()
        self.query_content = nn.Embedding(queries, dim)
        self.query_position = nn.Embedding(queries, dim)
        self.level_embedding = nn.Embedding(levels, dim)
        self.layers = nn.ModuleList(DecoderLayer(dim, ffn, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, num_classes + 1)
        self.mask_mlp = nn.ModuleList(nn.Linear(dim, outputs) for outputs in (dim, dim, mask_dim))

    def forward(self, mask_features: Tensor, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Normed queries (B, Q, D): the initial ones, and those after each layer.

        mask_features (B, mask_dim, h4, w4); levels (B, D, h, w) from coarse to fine.
        """
        batch = mask_features.shape[0]
        # Resizing and the product with a query are both linear, so the map can be shrunk first.
        small = [_resized(mask_features.detach(), level.shape[-2:]) for level in levels]
        tokens = [
            level.flatten(2).transpose(1, 2) + embedding
            for level, embedding in zip(levels, self.level_embedding.weight, strict=True)
        ]
        positions = [_positions(level) for level in levels]
        queries = self.query_content.weight.expand(batch, -1, -1)
        places = self.query_position.weight
        normed = [self.norm(queries)]
        for index, layer in enumerate(self.layers):
            level = index % len(levels)
            allowed = self.attended_cells(normed[-1], small[level])
            queries = layer(queries, places, tokens[level], positions[level], allowed)
            normed.append(self.norm(queries))
        return tuple(normed)

    @torch.no_grad()
    def attended_cells(self, normed: Tensor, small: Tensor) -> Tensor:
        """(B, Q, N) bool: where the mask of each query is, on a map of mask features (B, mask_dim,
        h, w); everywhere for a query whose mask is empty."""
        forbidden = self.masks(normed, small).flatten(2) < 0
        return ~forbidden | forbidden.all(-1, keepdim=True)

    def classify(self, normed: Tensor) -> Tensor:
        """Class logits (B, Q, C + 1) of normed queries (B, Q, D)."""
        return self.classifier(normed)

    def masks(self, normed: Tensor, mask_features: Tensor) -> Tensor:
        """Mask logits (B, Q, h, w) of normed queries on mask features (B, mask_dim, h, w)."""
        embedding = normed
        for index, layer in enumerate(self.mask_mlp):
            embedding = layer(F.relu(embedding) if index else embedding)
        return (embedding @ mask_features.flatten(2)).unflatten(2, mask_features.shape[2:])


def _resized(mask_features: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(mask_features, tuple(size), mode="bilinear", align_corners=False)


def _positions(level: Tensor) -> Tensor:
    dim, height, width = level.shape[1:]
    return sine_positions(height, width, dim, level).flatten(1).T
