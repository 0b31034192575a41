"""What was found on one frame, as arrays; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Found:
    """Best first. ids (n,) int64: the same object has the same number on every frame, from 1;
    labels (n,) int64; scores (n,) float32; masks (n, H, W) bool, in pixels of the frame.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    masks: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def boxes(self) -> NDArray[np.float32]:
        """Boxes x1, y1, x2, y2 (n, 4) around the masks; zeros around an empty one."""
        boxes = np.zeros((len(self), 4), np.float32)
        for i, mask in enumerate(self.masks):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows):
                boxes[i] = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        return boxes
