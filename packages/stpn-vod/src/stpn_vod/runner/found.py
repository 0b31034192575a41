"""What the runner says about one frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.arrays.frames import Frame


@dataclass(frozen=True, eq=False)
class Found:
    """n objects of one frame, best first: boxes (n, 4) float32 x1, y1, x2, y2 in pixels, scores
    (n,) in [0, 1], labels (n,) int64 class numbers from 0."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Found:
        """Only objects whose score is greater than `score`."""
        return self.take(self.scores > np.float32(score))

    def take(self, which: NDArray[np.bool_]) -> Found:
        """Only some of the objects."""
        return Found(self.boxes[which], self.scores[which], self.labels[which])

    def rescale(self, scale_xy: tuple[float, float], original_size: tuple[int, int]) -> Found:
        """The same objects in the pixels of the frame of size (h, w), clipped to it.

        scale_xy: network size over original size, along x and y.
        """
        height, width = original_size
        boxes = self.boxes / np.array([*scale_xy, *scale_xy], np.float32)
        limit = np.array([width, height, width, height], np.float32)
        return Found(np.minimum(np.maximum(boxes, 0), limit), self.scores, self.labels)


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found on one frame; boxes are in its pixels.

    ids: (n,) int64 track numbers from 1, where tracks were asked for.
    """

    frame: Frame
    found: Found
    has_prompt: bool
    ids: NDArray[np.int64] | None = None
