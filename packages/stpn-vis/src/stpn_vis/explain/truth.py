"""What is annotated in a frame, as pictures need it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_data import rle
from stpn_data.index import VideoIndex
from stpn_data.sequence import EvalFrame
from stpn_vis.instances import Instances


def annotated(index: VideoIndex, frame: EvalFrame) -> Instances:
    """The annotated objects of a frame, numbered by their tracks from 1, in pixels of its file; none
    where nothing is annotated."""
    height, width = frame.original_size
    rows = range(int(index.box_start[frame.index]), int(index.box_start[frame.index + 1]))
    masks = [] if index.masks is None else [index.masks.counts_of(row) for row in rows]
    decoded = [rle.decode(counts, height, width) for counts in masks]
    stacked = np.stack(decoded) > 0 if decoded else np.zeros((0, height, width), np.bool_)
    chosen = list(rows) if decoded else []
    return Instances(
        torch.tensor([int(index.tracks[row]) + 1 for row in chosen], dtype=torch.int64),
        torch.tensor([int(index.labels[row]) for row in chosen], dtype=torch.int64),
        torch.ones(len(chosen)),
        torch.from_numpy(stacked),
    )


def annotated_area(index: VideoIndex, frame: EvalFrame) -> Tensor:
    """Where objects are annotated, bool (h, w) at network size."""
    masks = annotated(index, frame).masks
    size = (frame.image.shape[1], frame.image.shape[2])
    if not len(masks):
        return torch.zeros(size, dtype=torch.bool)
    covered = masks.any(0)[None, None].float()
    return F.interpolate(covered, size, mode="bilinear", align_corners=False)[0, 0] > 0.5


def overlap(truth: Tensor, found: Tensor) -> list[float]:
    """For each annotated mask (n, H, W) that is not empty the IoU with the best of `found`
    (k, H, W)."""
    best = []
    for mask in truth[truth.flatten(1).any(1)]:
        both = (mask & found).sum((1, 2)) / (mask | found).sum((1, 2)).clamp(min=1)
        best.append(float(both.max()) if len(found) else 0.0)
    return best
