"""The segmenter's loss on a batch of clips, as a module that can be wrapped for many processes."""

from __future__ import annotations

from torch import Tensor, nn

from stpn_data.batch import Batch, normalise
from stpn_data.errors import DataError
from stpn_vis.predictions import Target
from stpn_vis.segmenter import Segmenter


class BatchLoss(nn.Module):
    """Losses by name; the batch lies on the device of the model, still uint8.

    Raises DataError if the clips have no masks.
    """

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        if batch.masks is None:
            raise DataError(f"{batch.names[0]}: clips without instance masks")
        pairs = zip(batch.labels, batch.masks, strict=True)
        supported = self.model.stpn.predictor is not None
        return self.model.loss(
            normalise(batch.frames, batch.sizes),
            [Target(labels, masks) for labels, masks in pairs],
            support=normalise(batch.support, batch.sizes) if supported else None,
            valid=batch.valid if supported else None,
            support_labels=batch.support_labels,
        )
