"""Deep prompts: one set per block from one shared predictor.

B batch, K support frames, P prompts, D_i channels of block i.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from stpn_core.predictors.init import init_linears
from stpn_core.predictors.predictor import PromptPredictor


class DeepPredictor(PromptPredictor):
    """A shared predictor followed by one fully connected layer per block (paper sec. 4.3, eq. 11).

    shared: predicts (B, P, D_0).
    prompt_dims: D_i of every block of the encoder, as `PromptedEncoder.prompt_dims` gives them.
    """

    def __init__(self, shared: PromptPredictor, prompt_dims: Sequence[int]) -> None:
        super().__init__()
        self.support_dim = shared.support_dim
        self.num_prompts = shared.num_prompts
        self.shared = shared
        self.heads = nn.ModuleList(nn.Linear(prompt_dims[0], dim) for dim in prompt_dims)
        init_linears(self.heads)

    def forward(self, support: Tensor, valid: Tensor | None = None) -> list[Tensor]:
        """(B, K, h, w, C) to one (B, P, D_i) per block."""
        prompts = self.shared(support, valid)
        return [head(prompts) for head in self.heads]
