"""AP50 as FGFA's evaluator defines it, after the ImageNet VID development kit.

Source: msracver/Flow-Guided-Feature-Aggregation, lib/dataset/imagenet_vid_eval_motion.py.

n detections, m annotations, G groups (areas times all, slow, medium, fast), C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.motion import SpeedGroup
from stpn_vod.pixel_iou import pixel_area
from stpn_vod.vid_ap.curve import Verdicts, average_precisions
from stpn_vod.vid_ap.metric import Lineage, Metric, metrics_of
from stpn_vod.vid_ap.pairs import frame_blocks, pairs_of
from stpn_vod.vid_ap.truth import VidTruth, check_rows
from stpn_vod.vid_ap.verdict import match_greedily, miss_weights

TOLERANCE = 10  # px by which the two sides together may be off on a small box


@dataclass(frozen=True)
class Area:
    """Boxes of low <= area <= high, in pixels with corners counted; both ends belong to it."""

    name: str
    low: float
    high: float

    def holds(self, boxes: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of boxes (n, 4) are in it."""
        area = pixel_area(boxes)
        return (area >= self.low) & (area <= self.high)


ANY_AREA = Area("", 0.0, np.inf)
AREAS = (Area("small", 0.0, 50**2), Area("middle", 50**2, 150**2), Area("large", 150**2, 1e10))

FGFA = Lineage(
    "FGFA",
    "IoU >= min(0.5, wh / ((w+10)(h+10))) with corner pixels counted, all-point AP",
    "FGFA, DFF, REPP, YOLOV and YOLOV++",
    (
        "IoU takes sides 1 px longer than x2 - x1: corner pixels are counted",
        "small boxes need less IoU: min(0.5, wh / ((w+10)(h+10))), 0.198 for 8 x 8 px",
        "annotations are not clipped",
        "of equal IoUs the annotation listed first; of equal scores the detection listed first, on "
        "the curve that of the earlier frame",
        "a detection that matches an object of another speed or area counts neither way; one that "
        "matches nothing is dropped, counted or weighted by the annotation of any class in the "
        "frame that it overlaps most, taken ones included",
        "in a frame without any object a false positive weighs the share of all motion values that "
        "lie in the group, frames without objects giving a value 0.0 each",
        "with an area range, a false positive outside it is dropped",
        "area under the envelope at every recall, mean over classes with an annotation in the group",
        "the original rounds scores to 4 decimals and corners to 2 before (rounded=True here)",
    ),
)


def fgfa_ap(
    truth: VidTruth,
    found: FrameBoxes,
    classes: Sequence[str],
    *,
    areas: Sequence[Area] = (ANY_AREA,),
    rounded: bool = False,
) -> Iterator[Metric]:
    """Yield FGFA's AP50: all, slow, medium, fast for each area, then each class. See `FGFA.quirks`.

    Without motion in `truth` only all, which is the development kit's plain AP. areas: the original's
    are `AREAS`; names are `AP50/slow`, `AP50/small`, `AP50/small/slow`. rounded: scores and boxes as
    the original's text files keep them. Raises InputError for rows that are not finite, of no class,
    or on a frame that is not tested.
    """
    check_rows(truth.boxes, truth.frames, len(classes), "annotations")
    check_rows(found, truth.frames, len(classes), "detections")
    if rounded:
        found = FrameBoxes(
            found.frames, np.round(found.boxes, 2), found.labels, np.round(found.scores, 4)
        )
    groups = [(area, speed) for area in areas for speed in truth.speeds]
    names = [
        "/".join(filter(None, (area.name, "" if speed is truth.speeds[0] else speed.name)))
        for area, speed in groups
    ]
    verdicts = _judge(truth, found, groups, len(classes))
    table = average_precisions(verdicts, _rank, _precision)
    return metrics_of(table, names, classes, FGFA)


def needed_iou(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m,) IoU that finds each of boxes (m, 4)."""
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    # a box turned inside out can not be found; its threshold has no meaning
    sides = np.maximum(sides, np.finfo(np.float64).tiny)
    return np.minimum(0.5, (sides / (sides + TOLERANCE)).prod(1))


def _judge(
    truth: VidTruth,
    found: FrameBoxes,
    groups: Sequence[tuple[Area, SpeedGroup]],
    num_classes: int,
) -> Verdicts:
    """Verdicts in order of frames, and of precedence in matching within a frame."""
    places = np.searchsorted(truth.frames, found.frames)
    order = np.lexsort((-found.scores, places))  # stable: ties stay as listed
    places, found = places[order], found.take(order)
    hits = np.zeros((len(groups), len(found)), np.bool_)
    misses = np.zeros((len(groups), len(found)))
    outside = [truth.ignored(speed) for _, speed in groups]  # by speed alone
    ignored = [
        out | ~area.holds(truth.boxes.boxes) for out, (area, _) in zip(outside, groups, strict=True)
    ]
    shares = [truth.share(speed) for _, speed in groups]
    needed = needed_iou(truth.boxes.boxes)
    for rows, held in frame_blocks(places, truth.positions, len(truth.frames)):
        boxes = found.boxes[rows]
        pairs = pairs_of(
            places[rows], boxes, truth.positions[held], truth.boxes.boxes[held], extra=1.0
        )
        alike = found.labels[rows][pairs.found] == truth.boxes.labels[held][pairs.truth]
        near = alike & (pairs.iou > 0) & (pairs.iou >= needed[held][pairs.truth])
        f, t = pairs.found[near], pairs.truth[near]
        turn = np.lexsort((t, -pairs.iou[near], f))
        taken = match_greedily(f[turn], t[turn], len(boxes), held.stop - held.start)
        matched = taken >= 0
        for group, (area, _) in enumerate(groups):
            hits[group, rows][matched] = ~ignored[group][held][taken[matched]]
            weights = miss_weights(pairs, outside[group][held], shares[group])
            misses[group, rows] = np.where(matched | ~area.holds(boxes), 0.0, weights)
    positives = [np.bincount(truth.boxes.labels[~out], minlength=num_classes) for out in ignored]
    return Verdicts(found.labels, found.scores, hits, misses, np.stack(positives))


def _rank(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(-scores, kind="stable")


def _precision(true: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    return true / np.maximum(true + false, np.finfo(np.float64).eps)
