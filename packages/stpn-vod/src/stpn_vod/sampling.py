"""Which matched references enter the loss of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stpn_vod.matching import BACKGROUND

Order = Literal["random", "first"]


@dataclass(frozen=True)
class Sampler:
    """At most `number` references, of which at most `positive_fraction` are positive.

    Background fills what positives leave. `order="first"` takes the lowest indices instead of
    drawing, so that a step is reproducible without a random number.
    """

    number: int
    positive_fraction: float
    order: Order = "random"

    def __call__(
        self, matches: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """(N,) matches -> indices of sampled positives (p,) and negatives (n,), p + n <= number.

        Draws from `generator`, or from the global generator of the matches' device.
        """
        positive = (matches >= 0).nonzero().squeeze(1)
        negative = (matches == BACKGROUND).nonzero().squeeze(1)
        positive = self._take(positive, int(self.number * self.positive_fraction), generator)
        return positive, self._take(negative, self.number - len(positive), generator)

    def _take(self, candidates: Tensor, number: int, generator: torch.Generator | None) -> Tensor:
        if len(candidates) <= number:
            return candidates
        if self.order == "first":
            return candidates[:number]
        device = candidates.device if generator is None else generator.device
        drawn = torch.randperm(len(candidates), generator=generator, device=device)[:number]
        return candidates[drawn.to(candidates.device)]
