"""The size that a frame is resized to; needs no torch."""

from __future__ import annotations

from typing import Literal

Resampling = Literal["antialias", "cv2"]
"""How frames are resized: filtered where they shrink, or as OpenCV's INTER_LINEAR does."""


def fit(size: tuple[int, int], short: int, long: int) -> tuple[int, int]:
    """Largest (h, w) with the ratio of `size`, short side <= short and long side <= long.

    Rounded half up, as mmdet does, so that sizes agree with the released code to the pixel.
    """
    height, width = size
    factor = min(short / min(size), long / max(size))
    return max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))
