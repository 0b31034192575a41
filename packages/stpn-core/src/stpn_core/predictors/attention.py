"""The attention predictor of the released code.

B batch, K support frames, h x w grid, C channels of support tokens, P prompts, D their width.
Not the paper's equations 2-4 (that is `transformer.py`): no LayerNorm, no residual, no FFN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.predictors.cross_attention import attend, check_heads
from stpn_core.predictors.predictor import PromptPredictor, checked


class AttentionPredictor(PromptPredictor):
    """P learned queries attend over all support tokens at width D.

    Source: guanxiongsun/vfe.pytorch, `AttentionPredictor`, with its parameter names: `reduction`
    brings the tokens to width D, `fc_embed` makes queries, `ref_fc_embed` keys, `ref_fc` values,
    `fc` the output. 111,552 parameters for C=768, D=96, P=5. Initialised as there: queries
    N(0, 1), linear layers as PyTorch does.
    """

    def __init__(
        self, *, support_dim: int, prompt_dim: int, num_prompts: int, num_heads: int = 16
    ) -> None:
        super().__init__()
        check_heads(prompt_dim, num_heads)
        self.support_dim = support_dim
        self.num_prompts = num_prompts
        self.num_heads = num_heads
        self.query = nn.Parameter(torch.randn(num_prompts, prompt_dim))
        self.reduction = nn.Linear(support_dim, prompt_dim)
        self.fc_embed = nn.Linear(prompt_dim, prompt_dim)
        self.ref_fc_embed = nn.Linear(prompt_dim, prompt_dim)
        self.ref_fc = nn.Linear(prompt_dim, prompt_dim)
        self.fc = nn.Linear(prompt_dim, prompt_dim)

    def forward(self, support: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, K, h, w, C) to (B, P, D)."""
        support = checked(support, valid, self.support_dim)
        tokens = self.reduction(support.flatten(2, 3))
        q = self.fc_embed(self.query).expand(support.shape[0], -1, -1)
        k, v = self.ref_fc_embed(tokens), self.ref_fc(tokens)
        return self.fc(attend(q, k, v, self.num_heads, valid))
