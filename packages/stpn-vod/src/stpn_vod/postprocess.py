"""From class scores and box deltas of regions to detections."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from stpn_vod.boxes import BoxCoder, at_least_float32, clip
from stpn_vod.detections import Detections


@dataclass(frozen=True)
class Postprocess:
    """Score threshold (strict), class-wise non-maximum suppression, best `limit` per image."""

    score_threshold: float = 1e-4
    nms_iou: float = 0.5
    limit: int = 100

    def __call__(
        self, coder: BoxCoder, regions: Tensor, logits: Tensor, deltas: Tensor, size: Tensor
    ) -> Detections:
        """One image: regions (R, 4), logits (R, C + 1), deltas (R, C, 4), size (2,) h, w in pixels.

        A region whose scores or box are not finite yields nothing.
        """
        scores = at_least_float32(logits).softmax(dim=1)[:, :-1]
        region, label = (scores > self.score_threshold).nonzero(as_tuple=True)
        boxes = clip(coder.decode(regions[region], deltas[region, label]), size)
        scores = scores[region, label]
        finite = boxes.isfinite().all(dim=1)
        boxes, scores, label = boxes[finite], scores[finite], label[finite]
        with torch.autocast(boxes.device.type, enabled=False):
            keep = batched_nms(boxes, scores, label, self.nms_iou)[: self.limit]
        return Detections(boxes[keep], scores[keep], label[keep])
