"""From verdicts on single detections to average precision.

G groups of annotations, n detections, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Verdicts:
    """labels (n,), scores (n,); hits (G, n): found a counted annotation of the group; misses (G, n):
    weight as a false positive; positives (G, C) int64: annotations that count."""

    labels: NDArray[np.int64]
    scores: Floats
    hits: NDArray[np.bool_]
    misses: Floats
    positives: NDArray[np.int64]


def average_precisions(
    verdicts: Verdicts,
    rank: Callable[[Floats], NDArray[np.int64]],
    precision: Callable[[Floats, Floats], Floats],
) -> Floats:
    """(G, C) average precision; -1 where no annotation counts.

    rank: order of the detections of a class from their scores. precision: from cumulated true and
    false positives.
    """
    result = np.full(verdicts.positives.shape, -1.0)
    for label in np.flatnonzero(verdicts.positives.any(0)):
        rows = np.flatnonzero(verdicts.labels == label)
        rows = rows[rank(verdicts.scores[rows])]
        for group in np.flatnonzero(verdicts.positives[:, label]):
            true = np.cumsum(verdicts.hits[group, rows], dtype=np.float64)
            false = np.cumsum(verdicts.misses[group, rows])
            recall = true / verdicts.positives[group, label]
            result[group, label] = area_under(recall, precision(true, false))
    return result


def area_under(recall: Floats, precision: Floats) -> float:
    """Area under the precision envelope at every recall that occurs (VOC 2010 and later).

    recall (n,) ascending, precision (n,).
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))
