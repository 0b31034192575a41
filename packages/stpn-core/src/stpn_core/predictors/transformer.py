"""The paper's transformer-based predictor (equations 2-4).

B batch, K support frames, h x w grid, C channels of support tokens, P prompts, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.predictors.cross_attention import attend, check_heads
from stpn_core.predictors.init import init_linears
from stpn_core.predictors.predictor import PromptPredictor, checked


class TransformerPredictor(PromptPredictor):
    """P learned queries gather the support by attention, then a feed-forward network.

        K = Concat(E_sup)                     (2)
        Q' = MHA(LN(Q), LN(K)) + Q            (3)
        P = FFN(LN(Q')) + LN(Q')              (4)

    The paper has queries of the support's width d_L and never says how prompts of width d_0 come
    out of them. Here tokens are projected to d_0 first, as the released code does, and everything
    else runs at d_0. The head count (8) and the FFN's hidden width (4 D, GELU) are ours.

    Initialisation: queries N(0, 0.02^2), so that after the residual the support decides what the
    prompts are (LN makes the queries distinct inside the attention whatever their scale); linear
    layers Xavier uniform with zero bias.
    """

    def __init__(
        self,
        *,
        support_dim: int,
        prompt_dim: int,
        num_prompts: int,
        num_heads: int = 8,
        ffn_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        check_heads(prompt_dim, num_heads)
        self.support_dim = support_dim
        self.num_prompts = num_prompts
        self.num_heads = num_heads
        hidden = int(prompt_dim * ffn_ratio)
        self.query = nn.Parameter(torch.randn(num_prompts, prompt_dim) * 0.02)
        self.reduction = nn.Linear(support_dim, prompt_dim)
        self.query_norm = nn.LayerNorm(prompt_dim)
        self.token_norm = nn.LayerNorm(prompt_dim)
        self.query_proj = nn.Linear(prompt_dim, prompt_dim)
        self.key_proj = nn.Linear(prompt_dim, prompt_dim)
        self.value_proj = nn.Linear(prompt_dim, prompt_dim)
        self.out_proj = nn.Linear(prompt_dim, prompt_dim)
        self.ffn_norm = nn.LayerNorm(prompt_dim)
        self.ffn = nn.Sequential(
            nn.Linear(prompt_dim, hidden), nn.GELU(), nn.Linear(hidden, prompt_dim)
        )
        init_linears(self)

    def forward(self, support: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, K, h, w, C) to (B, P, D)."""
        support = checked(support, valid, self.support_dim)
        tokens = self.token_norm(self.reduction(support.flatten(2, 3)))
        q = self.query_proj(self.query_norm(self.query)).expand(support.shape[0], -1, -1)
        gathered = attend(q, self.key_proj(tokens), self.value_proj(tokens), self.num_heads, valid)
        x = self.ffn_norm(self.out_proj(gathered) + self.query)
        return self.ffn(x) + x
