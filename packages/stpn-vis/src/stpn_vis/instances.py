"""Instances found on one frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Instances:
    """Best first. ids (n,) int64: the same object has the same number on every frame, from 1;
    labels (n,) int64; scores (n,) float32; masks (n, H, W) bool, in pixels of the frame.
    """

    ids: Tensor
    labels: Tensor
    scores: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def boxes(self) -> Tensor:
        """Boxes x1, y1, x2, y2 (n, 4) float32 around the masks; zeros around an empty one."""
        boxes = torch.zeros(len(self), 4)
        for i, mask in enumerate(self.masks):
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            if len(rows):
                boxes[i] = torch.tensor(
                    [columns[0, 0], rows[0, 0], columns[-1, 0] + 1, rows[-1, 0] + 1]
                )
        return boxes
