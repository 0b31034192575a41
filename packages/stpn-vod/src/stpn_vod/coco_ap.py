"""COCO average precision of boxes, by pycocotools, over every frame.

pycocotools keeps each detection as a Python object; at 176,126 frames with up to 100 detections that
is more memory than most machines have. Classes do not interact in this metric, so each is evaluated
alone, on the frames that hold it, and the precision tables are joined: the same numbers, in bounded
memory.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AREAS = ("all", "small", "medium", "large")  # pycocotools' order; limits 32^2 and 96^2 px
MAX_DETECTIONS = 100


@dataclass(frozen=True)
class FrameBoxes:
    """Boxes of many frames, in columns.

    frames (n,) int64; boxes (n, 4) x1, y1, x2, y2 in original pixels; labels (n,) from 0; scores
    (n,), ones for annotations.
    """

    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> FrameBoxes:
        """The chosen rows."""
        return FrameBoxes(self.frames[rows], self.boxes[rows], self.labels[rows], self.scores[rows])


def no_boxes() -> FrameBoxes:
    """No row at all."""
    return FrameBoxes(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0))


def concat_boxes(parts: list[FrameBoxes]) -> FrameBoxes:
    """The rows of all parts, in order."""
    parts = [no_boxes(), *parts]
    return FrameBoxes(
        np.concatenate([part.frames for part in parts]),
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def coco_ap(
    truth: FrameBoxes, found: FrameBoxes, classes: tuple[str, ...]
) -> Iterator[tuple[str, float]]:
    """Yield (name, value): AP, AP50, AP75, APs, APm, APl, AR100, then `AP/<class>` for each class.

    IoU .50:.05:.95, 101-point interpolation, box area = width x height without +1, at most 100
    detections a frame. Every frame counts, also those without objects: their detections are false
    positives of their class. -1 where no object is annotated, as pycocotools says it. Source: COCO's
    evaluation code, run class by class.
    """
    precision, recall = zip(
        *(_class_tables(truth, found, label) for label in range(len(classes))), strict=True
    )
    p = np.stack(precision)  # (class, IoU, recall point, area)
    r = np.stack(recall)  # (class, IoU, area)
    yield "AP", _mean(p[:, :, :, 0])
    yield "AP50", _mean(p[:, 0, :, 0])
    yield "AP75", _mean(p[:, 5, :, 0])
    for area, name in enumerate(("APs", "APm", "APl"), start=1):
        yield name, _mean(p[:, :, :, area])
    yield "AR100", _mean(r[:, :, 0])
    for label, name in enumerate(classes):
        yield f"AP/{name}", _mean(p[label, :, :, 0])


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if len(known) else -1.0


def _class_tables(
    truth: FrameBoxes, found: FrameBoxes, label: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = truth.take(truth.labels == label)
    found = found.take(found.labels == label)
    if not len(truth):  # COCOeval leaves such a class out of every mean
        return np.full((10, 101, 4), -1.0), np.full((10, 4), -1.0)
    annotations = [
        {
            "id": i,
            "image_id": frame,
            "category_id": 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": 0,
        }
        for i, (frame, box) in enumerate(
            zip(truth.frames.tolist(), _xywh(truth.boxes), strict=True), start=1
        )
    ]
    detections = [
        {"image_id": frame, "category_id": 1, "bbox": box, "score": score}
        for frame, box, score in zip(
            found.frames.tolist(), _xywh(found.boxes), found.scores.tolist(), strict=True
        )
    ]
    frames = sorted({*truth.frames.tolist(), *found.frames.tolist()})
    with contextlib.redirect_stdout(io.StringIO()):  # it prints progress nobody asked for
        reference = COCO()
        reference.dataset = {
            "info": {},
            "images": [{"id": frame} for frame in frames],
            "categories": [{"id": 1}],
            "annotations": annotations,
        }
        reference.createIndex()
        if detections:
            results = reference.loadRes(detections)
        else:  # loadRes refuses an empty list, yet no detection at all is a legal answer
            results = COCO()
            results.dataset = {**reference.dataset, "annotations": []}
            results.createIndex()
        evaluation = COCOeval(reference, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
    # last axis of both tables: at most 1, 10, 100 detections
    return evaluation.eval["precision"][:, :, 0, :, 2], evaluation.eval["recall"][:, 0, :, 2]


def _xywh(boxes: NDArray[np.float64]) -> list[list[float]]:
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1).tolist()
