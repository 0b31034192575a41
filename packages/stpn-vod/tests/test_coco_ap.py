from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from stpn_vod.coco_ap import FrameBoxes, coco_ap, concat_boxes, no_boxes

CLASSES = ("cat", "dog", "never annotated", "never found")


def random_case(seed: int, frames: int = 40) -> tuple[FrameBoxes, FrameBoxes]:
    """Annotations of all sizes, and detections near them, doubled, of wrong classes, and far off."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 400, (90, 2))
    sides = np.exp(rng.uniform(np.log(6), np.log(200), (90, 2)))
    boxes = np.concatenate([corners, corners + sides], 1)
    labels = rng.choice([0, 1, 3], 90)
    truth = FrameBoxes(rng.integers(0, frames, 90), boxes, labels, np.ones(90))
    rows = rng.integers(0, 90, 300)
    moved = boxes[rows] + rng.normal(0, 8, (300, 4))
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    wrong = rng.random(300) < 0.3
    found_labels = np.where(wrong, rng.integers(0, 3, 300), labels[rows])
    found_labels[found_labels == 3] = 0
    elsewhere = rng.random(300) < 0.2
    found_frames = np.where(elsewhere, rng.integers(0, frames, 300), truth.frames[rows])
    return truth, FrameBoxes(found_frames, moved, found_labels, rng.random(300).round(2))


def whole_run(truth: FrameBoxes, found: FrameBoxes, frames: int) -> np.ndarray:
    """pycocotools over all classes at once, as its own documentation does it."""

    def rows(boxes: FrameBoxes) -> list[dict]:
        return [
            {
                "id": i + 1, "image_id": int(f), "category_id": int(c) + 1, "iscrowd": 0,
                "score": float(s), "bbox": [b[0], b[1], b[2] - b[0], b[3] - b[1]],
                "area": (b[2] - b[0]) * (b[3] - b[1]),
            }
            for i, (f, b, c, s) in enumerate(
                zip(boxes.frames, boxes.boxes.tolist(), boxes.labels, boxes.scores, strict=True)
            )
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        tables = []
        for boxes in (truth, found):
            coco = COCO()
            coco.dataset = {
                "info": {},
                "images": [{"id": i} for i in range(frames)],
                "categories": [{"id": i + 1} for i in range(len(CLASSES))],
                "annotations": rows(boxes),
            }
            coco.createIndex()
            tables.append(coco)
        run = COCOeval(*tables, "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run.stats


@pytest.mark.parametrize("seed", range(5))
def test_equals_one_run_over_all_classes(seed):
    truth, found = random_case(seed)
    ours = dict(coco_ap(truth, found, CLASSES))
    stats = whole_run(truth, found, 40)
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    np.testing.assert_allclose([ours[n] for n in names], stats[:6], rtol=0, atol=1e-12)
    assert ours["AR100"] == pytest.approx(stats[8], abs=1e-12)
    assert 0 < ours["AP"] < 1


def test_truth_as_prediction_is_perfect_and_order_does_not_matter():
    truth, found = random_case(0)
    assert dict(coco_ap(truth, truth, CLASSES))["AP"] == 1.0
    unique = FrameBoxes(
        found.frames, found.boxes, found.labels, np.linspace(0, 1, len(found))[::-1].copy()
    )
    shuffled = unique.take(np.random.default_rng(1).permutation(len(found)))
    assert dict(coco_ap(truth, unique, CLASSES)) == dict(coco_ap(truth, shuffled, CLASSES))


def test_a_detection_on_an_empty_frame_counts_against():
    truth, _ = random_case(0)
    extra = FrameBoxes(
        np.array([10_000]), np.array([[0.0, 0, 50, 50]]), np.array([0]), np.array([2.0])
    )
    spoiled = concat_boxes([truth, extra])
    assert dict(coco_ap(truth, spoiled, CLASSES))["AP"] < 1.0


def test_empty_is_legal():
    truth, found = random_case(0)
    nothing_found = dict(coco_ap(truth, no_boxes(), CLASSES))
    assert nothing_found["AP"] == 0.0
    assert nothing_found["AP/never annotated"] == -1.0
    nothing_annotated = dict(coco_ap(no_boxes(), found, CLASSES))
    assert set(nothing_annotated.values()) == {-1.0}
    assert set(dict(coco_ap(no_boxes(), no_boxes(), CLASSES)).values()) == {-1.0}
