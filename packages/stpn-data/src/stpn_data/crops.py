"""Crops around annotated objects, to teach an encoder what the classes look like."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from stpn_data.clips import read_frame
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex


def draw_crops(
    index: VideoIndex, frames: Sequence[int], side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """uint8 crops (n, 3, side, side) around the first object of each of n frames, and its labels (n,).

    Flipped, transposed and with colours exchanged at random, all n alike: only the pattern tells the
    class. Raises DataError if a frame is smaller than a crop or shows no object.
    """
    crops, labels = [], []
    for frame in frames:
        image = read_frame(index, frame)
        found = index.boxes_of(frame)
        if min(image.shape[1:]) < side or not len(found.labels):
            raise DataError(
                f"{index.frame_name(frame)}: {tuple(image.shape[1:])} pixels and "
                f"{len(found.labels)} objects; crops need {side} x {side} and one"
            )
        x1, y1, x2, y2 = found.boxes[0].tolist()
        middle = ((y1 + y2) / 2, (x1 + x2) / 2)
        top, left = (
            int(np.clip(at + rng.uniform(-4, 4) - side / 2, 0, size - side))
            for at, size in zip(middle, image.shape[1:], strict=True)
        )
        crops.append(image[:, top : top + side, left : left + side])
        labels.append(int(found.labels[0]))
    images = torch.stack(crops)
    images = images[:, torch.from_numpy(rng.permutation(3))]
    if rng.random() < 0.5:
        images = images.flip(-1)
    if rng.random() < 0.5:
        images = images.transpose(-1, -2)
    return images, torch.tensor(labels)
