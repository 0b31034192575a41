"""The average predictor of the released code.

B batch, K support frames, h x w grid, C channels of support tokens, P prompts, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.predictors.predictor import PromptPredictor, checked, mean_over_frames


class AveragePredictor(PromptPredictor):
    """The P strongest tokens of each frame, averaged over frames rank by rank, then one Linear.

    Source: guanxiongsun/vfe.pytorch, `AveragePredictor`: strength is the L1 norm. 73,824 parameters
    for C=768, D=96. A grid with fewer than P tokens, where the released code fails, repeats its
    ranking from the start.
    """

    def __init__(self, *, support_dim: int, prompt_dim: int, num_prompts: int) -> None:
        super().__init__()
        self.support_dim = support_dim
        self.num_prompts = num_prompts
        self.reduction = nn.Linear(support_dim, prompt_dim)

    def forward(self, support: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, K, h, w, C) to (B, P, D)."""
        tokens = checked(support, valid, self.support_dim).flatten(2, 3)
        strongest = tokens.norm(p=1, dim=-1).topk(min(self.num_prompts, tokens.shape[2])).indices
        cycle = torch.arange(self.num_prompts, device=tokens.device) % strongest.shape[-1]
        ranked = strongest[..., cycle, None].expand(-1, -1, -1, tokens.shape[-1])
        return self.reduction(mean_over_frames(tokens.gather(2, ranked), valid))
