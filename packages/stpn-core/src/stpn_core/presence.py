"""Auxiliary task of the prompts: name the classes that the support frames show.

Only the training loss uses it. It asks the prompts for something that the support frames alone can
answer, while the loss of the task may be served by ignoring the prompts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_core.encoder import Prompts


class PromptPresence(nn.Module):
    """Linear layer on the mean prompt; one logit for each class.

    prompt_dim: width of the prompts, of the first block's where they are deep.
    weight: factor of the loss.
    """

    def __init__(self, prompt_dim: int, num_classes: int, weight: float = 0.1) -> None:
        super().__init__()
        self.weight = weight
        self.linear = nn.Linear(prompt_dim, num_classes)

    def forward(self, prompts: Prompts) -> Tensor:
        """(B, P, D0), or one such per block of which the first counts -> (B, C) logits."""
        first = prompts if isinstance(prompts, Tensor) else prompts[0]
        return self.linear(first.mean(dim=1))

    def loss(
        self, prompts: Prompts, support_labels: Sequence[Tensor], has_prompt: Tensor | None = None
    ) -> Tensor:
        """Binary cross entropy over all classes, averaged over the images that have a prompt.

        support_labels: for each image the classes (m_b,) its support frames show, repeats allowed.
        has_prompt (B,) bool; None for all.
        """
        logits = self(prompts)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        present = torch.zeros_like(logits)
        for row, labels in enumerate(support_labels):
            present[row, labels.to(logits.device)] = 1
        per_image = F.binary_cross_entropy_with_logits(logits, present, reduction="none").mean(1)
        if has_prompt is None:
            return self.weight * per_image.mean()
        counted = torch.where(has_prompt, per_image, 0)
        return self.weight * counted.sum() / has_prompt.sum().clamp(min=1)
