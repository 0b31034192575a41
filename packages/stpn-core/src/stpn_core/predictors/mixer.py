"""The paper's Mixer-based predictor (equations 5-7).

B batch, K support frames, h x w grid, C channels of support tokens, n tokens of the fixed grid,
P prompts, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core.predictors.init import init_linears
from stpn_core.predictors.predictor import PromptPredictor, checked, mean_over_frames


class MixerPredictor(PromptPredictor):
    """The support's mean over time, mixed over tokens and then over channels.

        E_p = AvgPool_time(E_sup)             (5)
        h = FFN(LN(E_p)^T)                    (6)   (B, C, P)
        P = FFN(LN(h)^T)                      (7)   (B, P, D)

    The token FFN needs a fixed number of tokens, so the mean map is first pooled adaptively to
    `grid` x `grid` (7 x 7); any image size then works. Both LayerNorms run over channels, as in
    MLP-Mixer: read literally, the second would run over the P prompts and erase P = 1. Hidden
    widths of 64 are ours; with them it has the 0.06 M parameters the paper gives for Swin-T.
    Linear layers: Xavier uniform, zero bias.
    """

    def __init__(
        self,
        *,
        support_dim: int,
        prompt_dim: int,
        num_prompts: int,
        grid: int = 7,
        token_hidden: int = 64,
        channel_hidden: int = 64,
    ) -> None:
        super().__init__()
        self.support_dim = support_dim
        self.num_prompts = num_prompts
        self.grid = grid
        self.token_norm = nn.LayerNorm(support_dim)
        self.token_ffn = nn.Sequential(
            nn.Linear(grid * grid, token_hidden), nn.GELU(), nn.Linear(token_hidden, num_prompts)
        )
        self.channel_norm = nn.LayerNorm(support_dim)
        self.channel_ffn = nn.Sequential(
            nn.Linear(support_dim, channel_hidden), nn.GELU(), nn.Linear(channel_hidden, prompt_dim)
        )
        init_linears(self)

    def forward(self, support: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, K, h, w, C) to (B, P, D)."""
        mean = mean_over_frames(checked(support, valid, self.support_dim), valid)
        pooled = _pool(mean.permute(0, 3, 1, 2), self.grid).flatten(2)
        tokens = self.token_norm(pooled.transpose(1, 2))
        mixed = self.token_ffn(tokens.transpose(1, 2)).transpose(1, 2)
        return self.channel_ffn(self.channel_norm(mixed))


def _pool(maps: Tensor, grid: int) -> Tensor:
    """(B, C, h, w) to (B, C, grid, grid) by adaptive average pooling."""
    if not any(isinstance(side, torch.SymInt) for side in maps.shape[2:]):
        return F.adaptive_avg_pool2d(maps, grid)
    # as products of matrices, which an exporter can write down for maps of any size
    down, across = (_shares(maps.shape[axis], grid, maps.device) for axis in (2, 3))
    return down.to(maps.dtype) @ maps @ across.to(maps.dtype).T


def _shares(length: int, grid: int, device: torch.device) -> Tensor:
    """(grid, length): what each of `length` cells gives to each of `grid` means."""
    cell, place = torch.arange(grid, device=device)[:, None], torch.arange(length, device=device)
    inside = (place >= cell * length // grid) & (place < ((cell + 1) * length + grid - 1) // grid)
    return inside / inside.sum(1, keepdim=True)
