"""The twelve numbers of YouTube-VIS, and OVIS's by occlusion.

As YTVOSeval computes them (youtubevos/cocoapi); written anew on pycocotools' masks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_vis.video_ap.matching import Matches, match
from stpn_vis.video_ap.overlap import track_iou
from stpn_vis.video_ap.tracks import Track, Truth

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
AREAS = {"all": (0, 1e10), "s": (0, 128**2), "m": (128**2, 256**2), "l": (256**2, 1e10)}
"""Limits of a track's mean area in pixels, both ends included."""
MOST = (1, 10, 100)
"""Findings per video and category that count."""
OCCLUSIONS = {"so": (0, 0.25), "mo": (0.25, 0.5), "ho": (0.5, 1)}
"""Slight, moderate and heavy occlusion, both ends included."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class VideoAp:
    """numbers: AP, AP50, AP75, APs, APm, APl, AR1, AR10, AR100, ARs, ARm, ARl, from 0 to 1, and
    APso ... ARho where occlusion is annotated; -1 where nothing is annotated that would count.

    precision, scores: (IoU 10, recall 101, categories, ranges, most 3), recall: (10, categories,
    ranges, 3); ranges in the order of `AREAS`, then of `OCCLUSIONS` if they are there. categories:
    their ids in order.
    """

    numbers: dict[str, float]
    precision: Array
    recall: Array
    scores: Array
    categories: tuple[int, ...]

    def per_category(self) -> dict[int, float]:
        """AP of each category, -1 where nothing is annotated."""
        return {
            category: _mean(self.precision[:, :, k, 0, -1])
            for k, category in enumerate(self.categories)
        }


def video_ap(truth: Truth, found: Sequence[Track]) -> VideoAp:
    """Compare what was found with what is annotated. Findings in other videos or categories than
    the truth's play no part."""
    categories = tuple(sorted(truth.categories))
    ranges: list[tuple[float, float, bool]] = [(low, high, False) for low, high in AREAS.values()]
    if any(track.occlusion is not None for track in truth.tracks):
        ranges += [(low, high, True) for low, high in OCCLUSIONS.values()]
    shape = (len(IOU_THRESHOLDS), len(RECALLS), len(categories), len(ranges), len(MOST))
    precision, scores = -np.ones(shape), -np.ones(shape)
    recall = -np.ones((shape[0], *shape[2:]))
    annotated, answers = _by_cell(truth.tracks), _by_cell(found)
    for k, category in enumerate(categories):
        cells = [(video, category) for video in sorted(truth.videos)]
        matches = [_cell(answers[cell], annotated[cell], ranges) for cell in cells]
        for a in range(len(ranges)):
            for m, most in enumerate(MOST):
                curve = _curve([per_range[a] for per_range in matches if per_range], most)
                if curve is not None:
                    precision[:, :, k, a, m], recall[:, k, a, m], scores[:, :, k, a, m] = curve
    return VideoAp(_numbers(precision, recall), precision, recall, scores, categories)


def _by_cell(tracks: Sequence[Track]) -> defaultdict[tuple[int, int], list[Track]]:
    cells: defaultdict[tuple[int, int], list[Track]] = defaultdict(list)
    for track in tracks:
        cells[track.video, track.category].append(track)
    return cells


def _cell(
    found: list[Track], truth: list[Track], ranges: list[tuple[float, float, bool]]
) -> list[Matches]:
    """Matches of one video and category for each range; nothing if both lists are empty."""
    if not found and not truth:
        return []
    order = np.argsort([-track.score for track in found], kind="stable")[: MOST[-1]]
    kept = [found[i] for i in order]
    scores = np.array([track.score for track in kept], float)
    iou = track_iou(kept, truth)
    crowd = np.array([track.crowd for track in truth], bool)
    matches = []
    for low, high, by_occlusion in ranges:
        sizes = [(t.occlusion or 0.0) if by_occlusion else t.area for t in truth]
        outside = np.array([not low <= size <= high for size in sizes], bool)
        # nobody knows the occlusion of what was found: in those ranges every miss is an error
        small = [not by_occlusion and not low <= track.area <= high for track in kept]
        matches.append(
            match(iou, scores, crowd | outside, crowd, np.array(small, bool), IOU_THRESHOLDS)
        )
    return matches


def _curve(matches: list[Matches], most: int) -> tuple[Array, Array, Array] | None:
    """Precision and score (10, 101) at each recall, and the final recall (10,); None if nothing is
    annotated that counts."""
    positives = sum(m.positives for m in matches)
    if not positives:
        return None
    scores = np.concatenate([m.scores[:most] for m in matches])
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    matched = np.concatenate([m.matched[:, :most] for m in matches], axis=1)[:, order]
    ignored = np.concatenate([m.ignored[:, :most] for m in matches], axis=1)[:, order]
    right = np.cumsum(matched & ~ignored, axis=1, dtype=float)
    wrong = np.cumsum(~matched & ~ignored, axis=1, dtype=float)
    final = right[:, -1] / positives if len(scores) else np.zeros(len(IOU_THRESHOLDS))
    precision = np.zeros((len(IOU_THRESHOLDS), len(RECALLS)))
    at_score = np.zeros_like(precision)
    for row in range(len(IOU_THRESHOLDS)):
        reached = right[row] / positives
        exact = right[row] / (wrong[row] + right[row] + np.spacing(1))
        envelope = np.maximum.accumulate(exact[::-1])[::-1]
        place = np.searchsorted(reached, RECALLS, side="left")
        there = place < len(scores)
        precision[row, there] = envelope[place[there]]
        at_score[row, there] = scores[place[there]]
    return precision, final, at_score


def _numbers(precision: Array, recall: Array) -> dict[str, float]:
    numbers = {
        "AP": _mean(precision[:, :, :, 0, -1]),
        "AP50": _mean(precision[0, :, :, 0, -1]),
        "AP75": _mean(precision[5, :, :, 0, -1]),
    }
    sizes = list(AREAS)[1:]
    numbers |= {f"AP{s}": _mean(precision[:, :, :, 1 + a, -1]) for a, s in enumerate(sizes)}
    numbers |= {f"AR{most}": _mean(recall[:, :, 0, m]) for m, most in enumerate(MOST)}
    numbers |= {f"AR{s}": _mean(recall[:, :, 1 + a, -1]) for a, s in enumerate(sizes)}
    if precision.shape[3] > len(AREAS):
        bins = [(len(AREAS) + a, name) for a, name in enumerate(OCCLUSIONS)]
        numbers |= {f"AP{name}": _mean(precision[:, :, :, a, -1]) for a, name in bins}
        numbers |= {f"AR{name}": _mean(recall[:, :, a, -1]) for a, name in bins}
    return numbers


def _mean(table: Array) -> float:
    """Mean of what is defined, -1 if nothing is."""
    defined = table[table > -1]
    return float(defined.mean()) if defined.size else -1.0
