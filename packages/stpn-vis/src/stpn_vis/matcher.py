"""Which query answers for which object: the cheapest assignment (Carion et al. 2020, DETR).

Q queries, n objects of a frame, C classes, P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

Pairs = tuple[Tensor, Tensor]
"""Queries in ascending order, and the object of each; int64 on the CPU."""

_WORST = 1e12  # stands for NaN and infinity, which have no place in an order


@dataclass(frozen=True)
class MatchCost:
    """Weights of the three costs."""

    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0

    @torch.no_grad()
    def __call__(self, logits: Tensor, masks: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
        """Cost (Q, n) of class logits (Q, C + 1) and mask logits at points (Q, P) for objects with
        labels (n,) and masks at the same points (n, P) of 0..1."""
        chance = logits.float().softmax(-1)[:, labels]
        masks, targets = masks.float(), targets.float()
        covered = masks @ targets.T
        entropy = (F.softplus(masks).sum(1, keepdim=True) - covered) / masks.shape[1]
        inside = masks.sigmoid()
        overlap = 2 * (inside @ targets.T) + 1
        dice = 1 - overlap / (inside.sum(1, keepdim=True) + targets.sum(1) + 1)
        return self.mask_weight * entropy - self.class_weight * chance + self.dice_weight * dice


def match(costs: Sequence[Tensor]) -> list[Pairs]:
    """The cheapest assignment for each cost (Q, n), min(Q, n) pairs; one transfer for them all.

    Costs that are NaN or infinite come last: the loss of such predictions tells of them.
    """
    if not costs:
        return []
    flat = torch.cat([cost.flatten() for cost in costs]).cpu().numpy()
    flat = np.nan_to_num(flat, nan=_WORST, posinf=_WORST, neginf=_WORST)
    pairs, start = [], 0
    for cost in costs:
        queries, objects = linear_sum_assignment(
            flat[start : start + cost.numel()].reshape(cost.shape)
        )
        pairs.append((torch.from_numpy(queries), torch.from_numpy(objects)))
        start += cost.numel()
    return pairs
