"""Which finding takes which annotated track, at every threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Matches:
    """Of one video and category; findings by falling score.

    scores (n,); matched, ignored (thresholds, n); positives: annotated tracks that count.
    """

    scores: NDArray[np.float64]
    matched: Flags
    ignored: Flags
    positives: int


def match(
    iou: NDArray[np.float64],
    scores: NDArray[np.float64],
    ignore_truth: Flags,
    crowd: Flags,
    ignore_unmatched: Flags,
    thresholds: NDArray[np.float64],
) -> Matches:
    """Greedy matching of findings in order, each to the free annotated track it overlaps most.

    iou (n, m); ignore_truth, crowd (m,); ignore_unmatched (n,): findings that are no error when
    nothing matches. Of equal overlaps the later annotated track wins, a track that counts goes
    before an ignored one, and crowds can be taken again (YTVOSeval.evaluateVid).
    """
    order = np.argsort(ignore_truth, kind="stable")
    shape = (len(thresholds), len(scores))
    matched, ignored = np.zeros(shape, bool), np.zeros(shape, bool)
    for row, threshold in enumerate(thresholds):
        taken = np.zeros(len(ignore_truth), bool)
        for d in range(len(scores)):
            best, least = -1, min(threshold, 1 - 1e-10)
            for g in order:
                if taken[g] and not crowd[g]:
                    continue
                if best >= 0 and not ignore_truth[best] and ignore_truth[g]:
                    break
                if iou[d, g] >= least:
                    best, least = int(g), iou[d, g]
            if best >= 0:
                taken[best] = True
                matched[row, d], ignored[row, d] = True, ignore_truth[best]
    ignored |= ~matched & ignore_unmatched[None]
    return Matches(scores, matched, ignored, int((~ignore_truth).sum()))
