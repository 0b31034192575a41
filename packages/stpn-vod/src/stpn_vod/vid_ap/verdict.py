"""Which detection finds which annotation, and what the ones that find none weigh.

n detections, m annotations, p pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stpn_vod.vid_ap.pairs import Ints, Pairs


def match_greedily(found: Ints, truth: Ints, num_found: int, num_truth: int) -> Ints:
    """(n,) annotation that each detection takes, -1 for none.

    found (p,), truth (p,): pairs in order of precedence, all pairs of a detection together. The
    first takes its annotation, both leave the list, and so on. Pairs that no earlier pair disputes
    are taken at once, so there are no more rounds than annotations in the fullest frame.
    """
    taken = np.full(num_found, -1, np.int64)
    free = np.ones(num_truth, np.bool_)
    first = np.empty(num_truth, np.int64)
    while len(found):
        place = np.arange(len(found))
        first[truth[::-1]] = place[::-1]  # of several writes to one slot the last stays
        leads = np.concatenate([[True], found[1:] != found[:-1]])
        won = leads & (first[truth] == place)
        taken[found[won]] = truth[won]
        free[truth[won]] = False
        left = free[truth] & (taken[found] < 0)
        found, truth = found[left], truth[left]
    return taken


def miss_weights(pairs: Pairs, ignored: NDArray[np.bool_], empty: float) -> NDArray[np.float64]:
    """(n,) weight of each detection as a false positive, should it find nothing.

    ignored (m,): annotations that do not count. A detection that overlaps a counted annotation most
    weighs 1, an ignored one most 0, both alike (often not at all) the share of ignored among its
    annotations; without any annotation it weighs `empty`. Annotations already taken are compared, too.
    """
    weights = np.full(len(pairs.counts), empty)
    some = np.flatnonzero(pairs.counts)
    if not len(some):
        return weights
    counts = pairs.counts[some]
    starts = np.cumsum(counts) - counts
    out = ignored[pairs.truth]
    outside = np.maximum.reduceat(np.where(out, pairs.iou, -1.0), starts)
    inside = np.maximum.reduceat(np.where(out, -1.0, pairs.iou), starts)
    share = np.add.reduceat(out.astype(np.float64), starts) / counts
    weights[some] = np.where(inside > outside, 1.0, np.where(outside > inside, 0.0, share))
    return weights
