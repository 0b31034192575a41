"""What a detector says about one image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_vod.boxes import clip


@dataclass(frozen=True)
class Detections:
    """n objects of one image, best first.

    boxes (n, 4) float32 x1, y1, x2, y2 in network pixels until `rescale`; scores (n,) in [0, 1];
    labels (n,) int64 class numbers from 0.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.scores)

    def rescale(self, scale_xy: tuple[float, float], original_size: tuple[int, int]) -> Detections:
        """The same objects in the pixels of the original image.

        scale_xy: network size over original size, along x and y. original_size: (h, w); boxes are
        clipped to it.
        """
        scale = self.boxes.new_tensor([*scale_xy, *scale_xy])
        size = torch.tensor(original_size, device=self.boxes.device)
        return Detections(clip(self.boxes / scale, size), self.scores, self.labels)

    def above(self, score: float) -> Detections:
        """Only objects whose score is greater than `score`."""
        return self.take(self.scores > score)

    def take(self, which: Tensor) -> Detections:
        """Only some of the objects: a mask (n,), or numbers in the order wanted."""
        return Detections(self.boxes[which], self.scores[which], self.labels[which])

    def to(self, device: torch.device | str) -> Detections:
        """The same on another device."""
        return Detections(self.boxes.to(device), self.scores.to(device), self.labels.to(device))
