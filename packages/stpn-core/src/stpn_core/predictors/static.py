"""Learned prompts that ignore the support: visual prompt tuning, the control.

B batch, P prompts, D their width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.predictors.predictor import PromptPredictor, checked


class StaticPredictor(PromptPredictor):
    """The same P learned prompts for every frame of every video.

    Initialised as VPT does: uniform in +-sqrt(6 / (3 patch_size^2 + D)), the scale of a patch
    embedding.
    """

    def __init__(
        self, *, support_dim: int, prompt_dim: int, num_prompts: int, patch_size: int = 4
    ) -> None:
        super().__init__()
        self.support_dim = support_dim
        self.num_prompts = num_prompts
        bound = (6 / (3 * patch_size**2 + prompt_dim)) ** 0.5
        self.prompts = nn.Parameter(torch.empty(num_prompts, prompt_dim).uniform_(-bound, bound))

    def forward(self, support: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, K, h, w, C) to (B, P, D); only B is read."""
        checked(support, valid, self.support_dim)
        return self.prompts.expand(support.shape[0], -1, -1)
