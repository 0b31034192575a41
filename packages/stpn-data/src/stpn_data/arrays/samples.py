"""A few real frames to try a network on, as arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.arrays.frames import FrameSource
from stpn_data.arrays.resize import resize
from stpn_data.datasets import Format, open_dataset
from stpn_data.errors import DataError
from stpn_data.image_pixels import decode_pixels

Pixels = NDArray[np.uint8]
FEW = 3
APART = 5


def frames_of_input(source: str) -> list[Pixels]:
    """FEW frames (H, W, 3) of one size, APART frames apart, of a video file, folder or pattern.
    Raises DataError if it cannot be read."""
    return _few(frame.image.transpose(1, 2, 0) for frame in FrameSource(source))


def frames_of_data(root: str, split: str, format: Format = "auto") -> list[Pixels]:
    """The same of a data set; none if it is not there any more."""
    if not root or not Path(root).is_dir():
        return []
    try:
        index = open_dataset(root, split, format=format, progress=False)
        return _few(decode_pixels(index.frame_path(i)) for i in range(index.num_frames))
    except DataError:
        return []


def as_input(
    frame: Pixels, size: tuple[int, int], mean: Sequence[float], std: Sequence[float]
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """A frame (H, W, 3), as large as a padded size allows, as network input (1, 3, *size) float32,
    and its height and width in there."""
    height, width = frame.shape[:2]
    factor = min(size[0] / height, size[1] / width)
    fitting = max(1, int(height * factor)), max(1, int(width * factor))
    image = np.zeros((1, 3, *size), np.float32)
    levels = resize(frame, fitting) - np.array(mean, np.float32)
    image[0, :, : fitting[0], : fitting[1]] = (levels / np.array(std, np.float32)).transpose(
        2, 0, 1
    )
    return image, fitting


def _few(frames: Iterator[Pixels]) -> list[Pixels]:
    few = list(itertools.islice(frames, 0, FEW * APART, APART))
    return [frame for frame in few if frame.shape == few[0].shape]
