"""How far a tracker is off on each frame, as the two families of OTB / LaSOT evaluators measure it.

Boxes are x, y, w, h in pixels, (N, 4). The first frame, whose box is given, counts as right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_vot.metrics.overlap import Array, box_iou

Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class FrameErrors:
    """overlap, centre (pixels) and norm_centre (sides of the annotated box), (N,) each, and which
    frames are valid (N,): annotated, and visible where that is asked for."""

    overlap: Array
    centre: Array
    norm_centre: Array
    valid: Flags


def toolkit_errors(boxes: Array, truth: Array) -> FrameErrors:
    """As the got10k toolkit (ExperimentOTB, ExperimentLaSOT): frames without annotation (NaN) are
    left out, others count, visible or not. Sides below a pixel count as one in norm_centre."""
    there = ~np.isnan(truth).any(axis=1)
    boxes, truth = _started(boxes, truth)[there], truth[there]
    apart = _centres(boxes) - _centres(truth)
    return FrameErrors(
        box_iou(boxes, truth),
        np.sqrt((apart**2).sum(axis=1)),
        np.sqrt(((apart / np.maximum(truth[:, 2:], 1)) ** 2).sum(axis=1)),
        np.ones(len(truth), bool),
    )


def analysis_errors(
    boxes: Array, truth: Array, visible: Flags | None, *, whole_box: bool
) -> FrameErrors:
    """As the analysis of pytracking and of MixFormer, which is copied from it.

    A frame is valid if w and h of its annotation are above 0; whole_box: x and y, too (pytracking).
    visible: frames that are not are invalid, too (LaSOT); None if nobody says. On an invalid frame
    overlap is -1, so that it counts as failed, and centre infinite; norm_centre is -1, which counts
    as right, or infinite where the target is not visible. A predicted box without area is replaced
    by the one before. Raises InputError for negative sizes.
    """
    boxes = _filled(_started(boxes, truth))
    seen = np.ones(len(truth), bool) if visible is None else visible
    with np.errstate(invalid="ignore", divide="ignore"):
        valid = (truth[:, 0 if whole_box else 2 :] > 0).all(axis=1) & seen
        apart = _centres(boxes) - _centres(truth)
        centre = np.sqrt((apart**2).sum(axis=1))
        # each divided before the difference, and w - 1 and + 1 below: to round as they do
        norm = (_centres(boxes) / truth[:, 2:] - _centres(truth) / truth[:, 2:]) ** 2
        norm_centre = np.sqrt(norm.sum(axis=1))
        begin = np.maximum(boxes[:, :2], truth[:, :2])
        end = np.minimum(boxes[:, :2] + boxes[:, 2:] - 1, truth[:, :2] + truth[:, 2:] - 1)
        shared = np.maximum(end - begin + 1, 0).prod(axis=1)
        union = boxes[:, 2:].prod(axis=1) + truth[:, 2:].prod(axis=1) - shared
        overlap = shared / union
    overlap[~valid], centre[~valid], norm_centre[~valid] = -1, np.inf, -1
    norm_centre[~seen] = np.inf
    return FrameErrors(overlap, centre, norm_centre, valid)


def _started(boxes: Array, truth: Array) -> Array:
    return np.concatenate([truth[:1], boxes[1:]])


def _centres(boxes: Array) -> Array:
    return boxes[:, :2] + 0.5 * (boxes[:, 2:] - 1)


def _filled(boxes: Array) -> Array:
    if (boxes[1:, 2:] < 0).any():
        place = int(np.flatnonzero((boxes[1:, 2:] < 0).any(axis=1))[0]) + 1
        raise InputError(
            f"frame {place} (from 0) has the predicted box x, y, w, h = {boxes[place].tolist()}: a "
            "size below 0 means nothing here"
        )
    kept = np.arange(len(boxes))
    kept[1:][(boxes[1:, 2:] == 0).any(axis=1)] = 0
    return boxes[np.maximum.accumulate(kept)]
