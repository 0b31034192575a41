"""Candidate regions: the best anchors of every level, refined and thinned."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from stpn_vod.boxes import BoxCoder, at_least_float32, clip
from stpn_vod.dense import DensePredictions


@dataclass(frozen=True)
class Proposals:
    """n regions of one image, best first: boxes (n, 4) in network pixels, scores (n,) in [0, 1]."""

    boxes: Tensor
    scores: Tensor


@dataclass(frozen=True)
class ProposalSelection:
    """`per_level` best anchors of each level, overlaps above `nms_iou` removed level by level, then
    the best `train_limit` (or `test_limit`) of all levels together."""

    per_level: int = 1000
    nms_iou: float = 0.7
    train_limit: int = 300
    test_limit: int = 300

    def __call__(
        self, coder: BoxCoder, dense: DensePredictions, sizes: Tensor, limit: int
    ) -> list[Proposals]:
        """Predictions for B images of sizes (B, 2) h, w pixels -> the proposals of each.

        Boxes are clipped to the image; those without width or height, or not finite, are dropped.
        """
        scores = at_least_float32(dense.logits).sigmoid().masked_fill(~dense.on_image, -1)
        indices, levels, start = [], [], 0
        for number, length in enumerate(dense.level_lengths):
            level = scores[:, start : start + length]
            best = level.topk(min(self.per_level, length), dim=1).indices
            indices.append(best + start)
            levels.append(torch.full_like(best[0], number))
            start += length
        index, level_of = torch.cat(indices, dim=1), torch.cat(levels)
        scores = scores.gather(1, index)
        deltas = dense.deltas.gather(1, index[:, :, None].expand(-1, -1, 4))
        boxes = coder.decode(dense.anchors[index].flatten(0, 1), deltas.flatten(0, 1))
        boxes = clip(boxes.unflatten(0, index.shape), sizes[:, None])
        sides = boxes[..., 2:] - boxes[..., :2]
        usable = (sides > 0).all(dim=-1) & (scores >= 0)
        return [
            self._thin(boxes[row][keep], scores[row][keep], level_of[keep], limit)
            for row, keep in enumerate(usable)
        ]

    def _thin(self, boxes: Tensor, scores: Tensor, levels: Tensor, limit: int) -> Proposals:
        with torch.autocast(boxes.device.type, enabled=False):
            keep = batched_nms(boxes, scores, levels, self.nms_iou)[:limit]
        return Proposals(boxes[keep], scores[keep])
