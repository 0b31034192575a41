"""The tracker's loss on a batch of clips, as a module that can be wrapped for many processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stpn_data.batch import normalise
from stpn_data.tracking import TrackingBatch
from stpn_vot.box_losses import box_losses
from stpn_vot.config import ObjectiveConfig
from stpn_vot.mixformer import Encoded, MixFormer


class BatchLoss(nn.Module):
    """Losses by name; the batch lies on the device of the model, still uint8.

    Parts that the objective does not train stay in evaluation mode, as they are while tracking: no
    stochastic depth, no moving statistics.
    """

    def __init__(self, model: MixFormer, objective: ObjectiveConfig) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(self, batch: TrackingBatch) -> dict[str, Tensor]:
        for part in frozen_parts(self.model, self.objective):
            part.eval()
        supported = self.model.predictor is not None
        encoded = self.model.encode(
            normalise(torch.cat([batch.template[:, None], batch.online], 1)),
            normalise(batch.search),
            normalise(batch.support) if supported else None,
            batch.valid if supported else None,
        )
        losses: dict[str, Tensor] = {}
        if self.objective.stage != "scores":
            losses |= self._boxes(encoded, batch)
            losses |= self._presence(encoded, batch)
        if self.objective.stage != "boxes":
            losses |= self._scores(encoded, batch)
        return losses

    def _boxes(self, encoded: Encoded, batch: TrackingBatch) -> dict[str, Tensor]:
        """Of the clips that show the target."""
        boxes = self.model.box_head(encoded.features)
        shown = batch.positive > 0
        # without any, the head still takes part, which data-parallel training waits for
        found = box_losses(boxes[shown], batch.box[shown], self.objective.overlap)
        absent = boxes.sum() * 0
        overlap, l1 = (found.overlap, found.l1) if bool(shown.any()) else (absent, absent)
        return {
            "loss_overlap": self.objective.overlap_weight * overlap,
            "loss_l1": self.objective.l1_weight * l1,
        }

    def _presence(self, encoded: Encoded, batch: TrackingBatch) -> dict[str, Tensor]:
        presence = self.model.presence
        if presence is None or encoded.prompts is None:
            return {}
        loss = presence.loss(encoded.prompts, batch.support_labels, encoded.has_prompt)
        return {"loss_presence": loss}

    def _scores(self, encoded: Encoded, batch: TrackingBatch) -> dict[str, Tensor]:
        """Judged at the true box, as MixFormer is trained."""
        head = self.model.score_head
        assert head is not None
        scores = head(encoded.features, encoded.cache.first, batch.box)
        loss = F.binary_cross_entropy_with_logits(scores.float(), batch.positive)
        return {"loss_score": self.objective.score_weight * loss}


def frozen_parts(model: MixFormer, objective: ObjectiveConfig) -> list[nn.Module]:
    """Those that the objective does not train."""
    names: set[str] = {*objective.freeze}
    if "predictor" in names:
        names.add("presence")
    if objective.stage == "boxes":
        names.add("score_head")
    if objective.stage == "scores":
        names |= {"encoder", "box_head", "predictor", "presence"}
    return [part for name, part in model.named_children() if name in names]
