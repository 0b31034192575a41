"""The detector's head with fixed shapes: what an exporter can write down.

The detector itself drops what it does not need as it goes, so its tensors have as many rows as
there are objects. Here every place stays, empty ones marked by a score of -1, and the best `limit`
are given with their number. The detections are the same.

A anchors, R regions, C classes, n detections at the most; one image.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from stpn_core import Features
from stpn_vod.boxes import clip
from stpn_vod.dense import DensePredictions
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.suppression import NOTHING, apart, surviving
from stpn_vod.roi_align import REGION_SIZE, pyramid_levels

FixedDetections = tuple[Tensor, Tensor, Tensor, Tensor]
"""boxes (n, 4) in network pixels, scores (n,), labels (n,) int64, best first, and the number () int64
of the rows that hold something: the first ones."""


class ExportedHead(nn.Module):
    """Feature pyramid, proposals and region head of a detector, sharing its weights."""

    def __init__(self, detector: FasterRCNN) -> None:
        super().__init__()
        self.fpn, self.rpn, self.roi = detector.fpn, detector.rpn, detector.roi
        self.strides = detector.stpn.encoder.strides

    def forward(self, size: Tensor, *maps: Tensor) -> FixedDetections:
        """size (2,) int64 h, w before padding; maps (1, C_i, H_i, W_i) of the encoder."""
        pyramid = self.fpn(Features(maps, self.strides))
        regions, there = self._propose(self.rpn(pyramid, size[None]), size)
        logits, deltas = self.roi(_pool(pyramid, regions))
        return self._report(regions, there, logits, deltas, size)

    def _propose(self, dense: DensePredictions, size: Tensor) -> tuple[Tensor, Tensor]:
        """Regions (R, 4), best first, and which of them are there."""
        selection = self.rpn.selection
        all_scores = dense.logits[0].sigmoid().masked_fill(~dense.on_image[0], NOTHING)
        boxes, scores, start = [], [], 0
        for length in dense.level_lengths:
            level, count = all_scores[start : start + length], selection.per_level
            if isinstance(length, torch.SymInt):
                # with as many places that hold nothing, there are enough of them at any size
                level = F.pad(level, (0, count), value=NOTHING)
            else:
                count = min(count, length)
            best = level.topk(count)
            index = best.indices.clamp(max=length - 1) + start
            decoded = self.rpn.coder.decode(dense.anchors[index], dense.deltas[0, index])
            boxes.append(clip(decoded, size))
            scores.append(best.values)
            start += length
        groups = torch.cat([torch.full_like(s, i) for i, s in enumerate(scores)])
        every, score = torch.cat(boxes), torch.cat(scores)
        there = ((every[:, 2:] - every[:, :2]) > 0).all(dim=-1) & (score >= 0)
        score = torch.where(there, score, NOTHING)
        moved = apart(every, groups, there)
        lengths = [s.shape[0] for s in scores]
        kept = torch.cat(
            [
                surviving(level[None], level_scores[None], selection.nms_iou)[0]
                for level, level_scores in zip(
                    moved.split(lengths), score.split(lengths), strict=True
                )
            ]
        )
        scores_left, index = _best(torch.where(kept, score, NOTHING), selection.test_limit)
        there = scores_left >= 0
        return torch.where(there[:, None], every[index], 0.0), there

    def _report(
        self, regions: Tensor, there: Tensor, logits: Tensor, deltas: Tensor, size: Tensor
    ) -> FixedDetections:
        post, classes = self.roi.postprocess, self.roi.num_classes
        scores = logits.softmax(dim=1)[:, :-1]
        boxes = clip(self.roi.coder.decode(regions, deltas), size)
        usable = there[:, None] & (scores > post.score_threshold) & boxes.isfinite().all(dim=-1)
        scores = torch.where(usable, scores, NOTHING)
        labels = torch.arange(classes, device=scores.device).expand_as(scores)
        moved = apart(boxes, labels, usable).transpose(0, 1)
        kept = surviving(moved, scores.transpose(0, 1), post.nms_iou).transpose(0, 1)
        scores, index = _best(torch.where(kept, scores, NOTHING).flatten(), post.limit)
        found = scores >= 0
        return (
            torch.where(found[:, None], boxes.flatten(0, 1)[index], 0.0),
            torch.where(found, scores, 0.0),
            torch.where(found, index % classes, 0),
            found.sum(),
        )


def _pool(pyramid: Features, regions: Tensor) -> Tensor:
    """Regions (R, 4) -> (R, C, 7, 7).

    Each level pools all regions, those of other levels as regions of no size, which cost nothing
    and give zeros.
    """
    maps, strides = pyramid.maps[:-1], pyramid.strides[:-1]
    levels = pyramid_levels(regions, strides[0], len(maps))
    pooled = regions.new_zeros(())
    for number, (level, stride) in enumerate(zip(maps, strides, strict=True)):
        here = torch.where((levels == number)[:, None], regions, 0.0)
        rois = torch.cat([torch.zeros_like(here[:, :1]), here], dim=1)
        pooled = pooled + roi_align(level, rois, REGION_SIZE, 1 / stride, 0, aligned=True)
    return pooled


def _best(scores: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The `limit` highest of scores (n,) and where they are; the earlier one where they tie."""
    values, indices = scores.sort(descending=True, stable=True)
    return values[:limit], indices[:limit]
