"""Pairs of detections and annotations that may meet, without a loop over frames.

n detections, m annotations, p pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_vod.pixel_iou import pixel_iou

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
PAIRS_AT_ONCE = 1 << 20  # bounds memory: about 100 bytes each


@dataclass(frozen=True)
class Pairs:
    """found (p,) and truth (p,) row numbers, sorted by both; iou (p,); counts (n,) pairs of each
    detection."""

    found: Ints
    truth: Ints
    iou: Floats
    counts: Ints


def pairs_of(
    found_keys: Ints, found: Floats, truth_keys: Ints, truth: Floats, extra: float
) -> Pairs:
    """All pairs with equal keys, of boxes found (n, 4) and truth (m, 4). extra: see `pixel_iou`."""
    order = np.argsort(truth_keys, kind="stable")
    keys = truth_keys[order]
    first = np.searchsorted(keys, found_keys, "left")
    counts = np.searchsorted(keys, found_keys, "right") - first
    a = np.repeat(np.arange(len(found)), counts)
    b = order[np.arange(len(a)) + np.repeat(first - (np.cumsum(counts) - counts), counts)]
    return Pairs(a, b, pixel_iou(found[a], truth[b], extra), counts)


def frame_blocks(
    found_frames: Ints, truth_frames: Ints, num_frames: int, size: int = PAIRS_AT_ONCE
) -> Iterator[tuple[slice, slice]]:
    """Yield (detections, annotations) of runs of whole frames with about `size` pairs each.

    Both columns hold places 0..num_frames-1 in ascending order.
    """
    found = np.bincount(found_frames, minlength=num_frames)
    truth = np.bincount(truth_frames, minlength=num_frames)
    work = np.cumsum(found * (truth + 1)) // size
    edges = np.concatenate([[0], np.flatnonzero(np.diff(work)) + 1, [num_frames]])
    of_found = np.searchsorted(found_frames, edges)
    of_truth = np.searchsorted(truth_frames, edges)
    for i in range(len(edges) - 1):
        yield slice(of_found[i], of_found[i + 1]), slice(of_truth[i], of_truth[i + 1])
