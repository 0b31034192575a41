"""The detector's loss on a batch of clips, as a module that can be wrapped for many processes."""

from __future__ import annotations

from torch import Tensor, nn

from stpn_data.batch import Batch, normalise
from stpn_vod.build import Detector
from stpn_vod.selsa_detector import SelsaDetector


class BatchLoss(nn.Module):
    """Losses by name; the batch lies on the device of the model, still uint8."""

    def __init__(self, model: Detector) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        supported = self.model.stpn.predictor is not None or isinstance(self.model, SelsaDetector)
        return self.model.loss(
            normalise(batch.frames, batch.sizes),
            batch.sizes,
            batch.boxes,
            batch.labels,
            support=normalise(batch.support, batch.sizes) if supported else None,
            valid=batch.valid if supported else None,
            support_labels=batch.support_labels,
        )
