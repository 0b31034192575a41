"""Instances found on one frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_vis.found import Found


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
        return torch.from_numpy(self.arrays().boxes())

    def arrays(self) -> Found:
        """The same as arrays."""
        return Found(
            *(part.cpu().numpy() for part in (self.ids, self.labels, self.scores, self.masks))
        )
