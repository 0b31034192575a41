"""Which annotated box a reference box (anchor or proposal) answers for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_vod.boxes import iou

BACKGROUND = -1
IGNORED = -2


@dataclass(frozen=True)
class Matcher:
    """Highest overlap decides.

    positive: a reference with IoU >= this takes its best annotated box.
    negative: one with IoU < this is background; between the two it is ignored.
    low_quality: where not None, every annotated box whose best IoU is >= this also takes all
        references that reach that best IoU, even those that suit another box better; the later
        annotated box wins. (Faster R-CNN's rule for anchors, with a floor.)
    """

    positive: float
    negative: float
    low_quality: float | None

    def __call__(self, annotated: Tensor, references: Tensor) -> Tensor:
        """(G, 4) and (N, 4) -> (N,) int64: index of the annotated box, BACKGROUND or IGNORED."""
        matches = torch.full((len(references),), BACKGROUND, device=references.device)
        if len(annotated) == 0 or len(references) == 0:
            return matches
        overlap = iou(annotated, references)
        best, best_box = overlap.max(dim=0)
        matches.masked_fill_(best >= self.negative, IGNORED)
        matches = torch.where(best >= self.positive, best_box, matches)
        if self.low_quality is None:
            return matches
        peak = overlap.max(dim=1, keepdim=True).values
        takes = (overlap == peak) & (peak >= self.low_quality)
        number = torch.arange(1, len(annotated) + 1, device=overlap.device)[:, None]
        taken_by = (takes * number).amax(dim=0) - 1
        return torch.where(taken_by >= 0, taken_by, matches)
