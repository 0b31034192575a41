"""The loss of Mask2Former: classes, masks and their overlap, for the prediction of every layer.

B batch, Q queries, C classes, h x w mask logits, H x W targets, n objects of a frame, N matched
pairs of the batch, P points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_core.training import mean_over_ranks
from stpn_vis.matcher import MatchCost, Pairs, match
from stpn_vis.points import Draw, sample_points, uncertain_points
from stpn_vis.predictions import Target


@dataclass(frozen=True)
class Criterion:
    """Weights and numbers of points; see `SegmenterConfig`."""

    cost: MatchCost = field(default_factory=MatchCost)
    no_object_weight: float = 0.1
    points: int = 12544
    oversample: float = 3.0
    importance: float = 0.75

    def __call__(
        self,
        logits: Sequence[Tensor],
        masks: Sequence[Tensor],
        targets: Sequence[Target],
        draw: Draw,
    ) -> dict[str, Tensor]:
        """Weighted losses, whose sum is to be minimised.

        logits (B, Q, C + 1) and masks (B, Q, h, w) of each prediction in turn, the final one last;
        targets on the same device. draw: where points come from; for all predictions first those
        for matching (B, P, 2), then for each those of `uncertain_points`.

        Keys: loss_ce, loss_mask, loss_dice of the final prediction, and the same with `_0`, `_1`, …
        for the earlier ones (0: the initial queries). The mask losses are divided by the number of
        objects per rank, matched or not. All ranks must call this together.
        """
        wholes = [target.masks.to(masks[0].dtype) for target in targets]
        labels = [target.labels for target in targets]
        costs: list[Tensor] = []
        for layer in zip(logits, masks, strict=True):
            costs += self.costs(*layer, labels, wholes, draw)
        pairs = match(costs)
        objects = mean_over_ranks({"objects": float(sum(len(label) for label in labels))})
        normaliser = max(objects["objects"], 1.0)
        losses: dict[str, Tensor] = {}
        for index, (class_logits, mask_logits) in enumerate(zip(logits, masks, strict=True)):
            suffix = "" if index == len(logits) - 1 else f"_{index}"
            found = pairs[index * len(targets) : (index + 1) * len(targets)]
            entropy, dice = self._mask_losses(mask_logits, wholes, found, draw)
            ce = self._class_loss(class_logits, labels, found)
            losses[f"loss_ce{suffix}"] = self.cost.class_weight * ce
            losses[f"loss_mask{suffix}"] = self.cost.mask_weight * entropy / normaliser
            losses[f"loss_dice{suffix}"] = self.cost.dice_weight * dice / normaliser
        return losses

    @torch.no_grad()
    def costs(
        self,
        logits: Tensor,
        masks: Tensor,
        labels: Sequence[Tensor],
        wholes: Sequence[Tensor],
        draw: Draw,
    ) -> list[Tensor]:
        """Costs (Q, n) of one prediction for each frame; labels (n,), wholes (n, H, W) floats."""
        points = draw((len(masks), self.points, 2))
        sampled = sample_points(masks, points)
        costs = []
        for row, (label, whole) in enumerate(zip(labels, wholes, strict=True)):
            if len(label):
                target = sample_points(whole[None], points[row : row + 1])[0]
                costs.append(self.cost(logits[row], sampled[row], label, target))
            else:
                costs.append(sampled.new_zeros(masks.shape[1], 0))
        return costs

    def _class_loss(
        self, logits: Tensor, labels: Sequence[Tensor], pairs: Sequence[Pairs]
    ) -> Tensor:
        nothing = logits.shape[2] - 1
        wanted = torch.full(logits.shape[:2], nothing, device=logits.device)
        for row, (label, (queries, objects)) in enumerate(zip(labels, pairs, strict=True)):
            wanted[row, queries.to(label.device)] = label[objects.to(label.device)]
        weights = torch.ones(nothing + 1, device=logits.device)
        weights[nothing] = self.no_object_weight
        return F.cross_entropy(logits.float().transpose(1, 2), wanted, weights)

    def _mask_losses(
        self, masks: Tensor, wholes: Sequence[Tensor], pairs: Sequence[Pairs], draw: Draw
    ) -> tuple[Tensor, Tensor]:
        """Cross entropy and dice loss, each summed over the matched pairs."""
        frames = torch.cat([torch.full_like(q, row) for row, (q, _) in enumerate(pairs)])
        queries = torch.cat([q for q, _ in pairs])
        predicted = masks[frames.to(masks.device), queries.to(masks.device)]
        if not len(predicted):  # zero, and still a function of the masks
            return predicted.sum(), predicted.sum()
        wanted = torch.cat(
            [
                whole[objects.to(whole.device)]
                for whole, (_, objects) in zip(wholes, pairs, strict=True)
            ]
        )
        points = uncertain_points(
            predicted.detach(),
            draw,
            points=self.points,
            oversample=self.oversample,
            importance=self.importance,
        )
        logits = sample_points(predicted[:, None], points)[:, 0].float()
        target = sample_points(wanted[:, None], points)[:, 0].float()
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(1)
        inside = logits.sigmoid()
        overlap = 2 * (inside * target).sum(1) + 1
        dice = 1 - overlap / (inside.sum(1) + target.sum(1) + 1)
        return entropy.sum(), dice.sum()
