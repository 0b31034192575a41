"""AP50 as MEGA's evaluator defines it, and as the copy in the released STPN code does.

Source: Scalsol/mega.pytorch, mega_core/data/datasets/evaluation/vid/vid_eval.py and
data/datasets/vid.py; guanxiongsun/vfe.pytorch, mmdet/datasets/mamba/vid_eval.py and
mmdet/datasets/coco_video_dataset.py.

n detections, m annotations, G groups (all, slow, medium, fast), C classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.vid_ap.curve import Verdicts, average_precisions
from stpn_vod.vid_ap.metric import Lineage, Metric, metrics_of
from stpn_vod.vid_ap.pairs import frame_blocks, pairs_of
from stpn_vod.vid_ap.truth import VidTruth, check_rows
from stpn_vod.vid_ap.verdict import match_greedily, miss_weights

MIN_IOU = 0.5
_EXTRA = 2.0  # the evaluator adds 1 to x2 and y2, and its IoU adds 1 again

_QUIRKS = (
    "IoU takes sides 2 px longer than x2 - x1",
    "a match needs IoU >= 0.5 whatever the size of the box",
    "of equal IoUs an annotation inside the speed group goes before one outside it",
    "of equal scores the detection listed last matches first; on the curve the later frame comes "
    "first",
    "a detection that matches an object of another speed counts neither way; one that matches "
    "nothing is dropped, counted or weighted by the annotations of its class in the frame that it "
    "overlaps most, taken ones included",
    "in a frame without its class a false positive weighs the share of all motion values that lie "
    "in the group, frames without objects giving a value 0.0 each",
    "area under the envelope at every recall, mean over classes with an annotation in the group",
)
MEGA = Lineage(
    "MEGA",
    "IoU >= 0.5 with sides 2 px longer, all-point AP, annotations clipped to the image",
    "MEGA and its ports of RDN, FGFA and DFF, DAFA, DiffusionVID (up to 300 detections a frame)",
    ("annotations are clipped to [0, W-1] x [0, H-1] where the size is known", *_QUIRKS),
)
VFE = Lineage(
    "VFE",
    "as MEGA, annotations not clipped, those thinner than 1 px left out",
    "MAMBA and STPN rows in the README of vfe.pytorch (up to 100 detections a frame)",
    (
        "annotations are not clipped; those with x2 - x1 < 1, y2 - y1 < 1 or wholly outside the "
        "image are left out, yet their motion values stay, so that later objects of the frame are "
        "grouped by an earlier one's",
        *_QUIRKS,
    ),
)


@dataclass(frozen=True)
class _Truth:
    places: NDArray[np.int64]  # (m,) of the frame
    boxes: NDArray[np.float64]  # (m, 4)
    labels: NDArray[np.int64]  # (m,)
    ignored: NDArray[np.bool_]  # (G, m)


def mega_ap(truth: VidTruth, found: FrameBoxes, classes: Sequence[str]) -> Iterator[Metric]:
    """Yield MEGA's AP50: all, slow, medium, fast, then each class in them. See `MEGA.quirks`.

    Without motion in `truth` only the first. Raises InputError for rows that are not finite, of no
    class, or on a frame that is not tested. Source: mega.pytorch.
    """
    boxes = truth.boxes.boxes
    limit = np.where(truth.sizes > 0, truth.sizes - 1.0, np.inf)[truth.positions]
    clipped = np.concatenate([np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, 2:], limit)], 1)
    ignored = np.stack([truth.ignored(group) for group in truth.speeds])
    return _metrics(
        truth, _Truth(truth.positions, clipped, truth.boxes.labels, ignored), found, classes, MEGA
    )


def vfe_ap(truth: VidTruth, found: FrameBoxes, classes: Sequence[str]) -> Iterator[Metric]:
    """Yield the AP50 of vfe.pytorch's `vid_style` evaluation; as `mega_ap`. See `VFE.quirks`."""
    boxes, places = truth.boxes.boxes, truth.positions
    sizes = np.where(truth.sizes > 0, truth.sizes, np.inf)[places]
    inside = np.minimum(boxes[:, 2:], sizes) - np.maximum(boxes[:, :2], 0)
    kept = ((boxes[:, 2:] - boxes[:, :2] >= 1) & (inside > 0)).all(1)
    # The k-th object that is kept reads the k-th motion value of its frame, whosever that is.
    starts = np.searchsorted(places, places)
    before: NDArray[np.int64] = np.cumsum(kept) - kept
    reads = (starts + before - before[starts])[kept] if len(boxes) else np.zeros(0, np.int64)
    ignored = np.stack([truth.ignored(group)[reads] for group in truth.speeds])
    return _metrics(
        truth,
        _Truth(places[kept], boxes[kept], truth.boxes.labels[kept], ignored),
        found,
        classes,
        VFE,
    )


def _metrics(
    whole: VidTruth, truth: _Truth, found: FrameBoxes, classes: Sequence[str], lineage: Lineage
) -> Iterator[Metric]:
    check_rows(whole.boxes, whole.frames, len(classes), "annotations")
    check_rows(found, whole.frames, len(classes), "detections")
    # The original lets a share of 0 weigh 1, which changes nothing: then no object is in the group.
    empty = [whole.share(group) for group in whole.speeds]
    verdicts = _judge(truth, found, empty, whole.frames, len(classes))
    names = ["", *(group.name for group in whole.speeds[1:])]
    table = average_precisions(verdicts, _rank, _precision)
    return metrics_of(table, names, classes, lineage)


def _judge(
    truth: _Truth,
    found: FrameBoxes,
    empty: Sequence[float],
    frames: NDArray[np.int64],
    num_classes: int,
) -> Verdicts:
    """Verdicts in order of frames, and of precedence in matching within a frame."""
    places = np.searchsorted(frames, found.frames)
    order = np.lexsort((-np.arange(len(found)), -found.scores, places))
    places, found = places[order], found.take(order)
    hits = np.zeros((len(empty), len(found)), np.bool_)
    misses = np.zeros((len(empty), len(found)))
    for rows, held in frame_blocks(places, truth.places, len(frames)):
        pairs = pairs_of(
            places[rows] * num_classes + found.labels[rows],
            found.boxes[rows],
            truth.places[held] * num_classes + truth.labels[held],
            truth.boxes[held],
            _EXTRA,
        )
        near = pairs.iou >= MIN_IOU
        f, t, iou = pairs.found[near], pairs.truth[near], pairs.iou[near]
        for group, weight in enumerate(empty):
            ignored = truth.ignored[group, held]
            out = ignored[t]
            # of equal IoUs the first counted annotation, else the last ignored one
            turn = np.lexsort((np.where(out, -t, t), out, -iou, f))
            taken = match_greedily(f[turn], t[turn], len(places[rows]), len(ignored))
            matched = taken >= 0
            hits[group, rows][matched] = ~ignored[taken[matched]]
            misses[group, rows] = np.where(matched, 0.0, miss_weights(pairs, ignored, weight))
    positives = [
        np.bincount(truth.labels[~ignored], minlength=num_classes) for ignored in truth.ignored
    ]
    return Verdicts(found.labels, found.scores, hits, misses, np.stack(positives))


def _rank(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.argsort(scores, kind="stable")[::-1]


def _precision(true: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    return true / (false + true + np.spacing(1.0))
