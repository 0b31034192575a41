from __future__ import annotations

import numpy as np
import pytest

from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.motion import EVERY_SPEED, SPEEDS
from stpn_vod.vid_ap import FGFA, Area, VidTruth, fgfa, fgfa_ap, pairs
from stpn_vod.vid_ap.fgfa import ANY_AREA, needed_iou

CLASSES = ("a", "b", "c")
LITTLE = Area("little", 0, 81)  # 8 + 1 squared: both ends are met


def overlap(a, b) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def area(box) -> float:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)


def enough(box) -> float:
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    return min(0.5, w * h / ((w + 10) * (h + 10)))


def slowly(truth: VidTruth, found: FrameBoxes, speed, limits: Area) -> list[float]:
    """AP of every class, one detection at a time."""
    values = [*truth.motion, *(0.0 for f in truth.frames if f not in truth.boxes.frames)]
    share = sum(speed.low <= v <= speed.high for v in values) / len(values)
    positives, rows = [0, 0, 0], []
    for frame in truth.frames:
        gt = np.flatnonzero(truth.boxes.frames == frame)
        boxes = truth.boxes.boxes[gt]
        moving = [speed.low <= v <= speed.high for v in truth.motion[gt]]
        counted = [
            m and limits.low <= area(b) <= limits.high for m, b in zip(moving, boxes, strict=True)
        ]
        for k, row in enumerate(gt):
            positives[truth.boxes.labels[row]] += counted[k]
        mine = [i for i in range(len(found)) if found.frames[i] == frame]
        free = set(range(len(gt)))
        for i in sorted(mine, key=lambda i: -found.scores[i]):
            ious = [overlap(found.boxes[i], box) for box in boxes]
            may = [
                k
                for k in sorted(free)
                if ious[k] >= enough(boxes[k]) and truth.boxes.labels[gt[k]] == found.labels[i]
            ]
            hit, weight = False, 0.0
            if may:
                chosen = max(may, key=lambda k: ious[k])  # the first of equals
                free.discard(chosen)
                hit = counted[chosen]
            elif limits.low <= area(found.boxes[i]) <= limits.high:
                inside = max((v for v, m in zip(ious, moving, strict=True) if m), default=-1)
                outside = max((v for v, m in zip(ious, moving, strict=True) if not m), default=-1)
                alike = 1 - sum(moving) / len(moving) if moving else share
                weight = 1.0 if inside > outside else 0.0 if outside > inside else alike
            rows.append((found.labels[i], found.scores[i], hit, weight))
    return [curve(rows, label, positives[label]) for label in range(3)]


def curve(rows, label: int, positives: int) -> float:
    if not positives:
        return -1.0
    true = false = 0.0
    points = []
    for _, _, hit, weight in sorted((r for r in rows if r[0] == label), key=lambda r: -r[1]):
        true, false = true + hit, false + weight
        points.append((true / positives, true / (true + false) if true else 0.0))
    area = last = 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[k:])
        last = recall
    return area


@pytest.mark.parametrize("seed", range(40))
def test_equals_the_definition(make_case, seed):
    truth, found = make_case(seed)
    limits = (ANY_AREA, LITTLE)
    values = {m.name: m.value for m in fgfa_ap(truth, found, CLASSES, areas=limits)}
    assert len(values) == 2 * 4 * 4
    for limit in limits:
        for speed in (EVERY_SPEED, *SPEEDS):
            parts = ("AP50", limit.name, "" if speed is EVERY_SPEED else speed.name)
            name = "/".join(filter(None, parts))
            want = slowly(truth, found, speed, limit)
            got = [values[f"{name}/{label}"] for label in CLASSES]
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-12, err_msg=name)
            known = [value for value in want if value >= 0]
            assert values[name] == pytest.approx(np.mean(known) if known else -1, abs=1e-12)


def test_small_boxes_need_less():
    boxes = np.array([[0.0, 0, 7, 7], [0, 0, 23, 23], [0, 0, 24, 24], [0, 0, 200, 200]])
    np.testing.assert_allclose(needed_iou(boxes), [64 / 18**2, 24**2 / 34**2, 0.5, 0.5], rtol=1e-12)
    assert needed_iou(boxes)[0] == pytest.approx(0.198, abs=5e-4)
    assert 0 < needed_iou(np.array([[5.0, 5, -20, 7]]))[0] <= 0.5  # inside out


def one(box, score: float = 1.0, label: int = 0) -> FrameBoxes:
    return FrameBoxes(np.array([0]), np.array([box], float), np.array([label]), np.array([score]))


def test_a_false_positive_looks_at_objects_of_any_class():
    slow = VidTruth(
        one((10, 10, 50, 50)), np.arange(1), np.zeros((1, 2), np.int32), np.array([1.0])
    )
    both = FrameBoxes(
        np.zeros(2, np.int64),
        np.array([[10.0, 10, 50, 50], [12, 10, 50, 50]]),
        np.array([0, 1]),
        np.array([0.5, 0.9]),
    )
    values = {m.name: m.value for m in fgfa_ap(slow, both, CLASSES)}
    assert values["AP50/slow/a"] == 1.0
    assert values["AP50/slow/b"] == -1.0
    assert values["AP50/fast"] == -1.0


def test_rounding_as_the_original_writes_makes_ties():
    # listed first wins among equals: 0.90001 and 0.90004 are both written as 0.9000
    truth = VidTruth(one((10, 10, 50, 50)), np.arange(1), np.zeros((1, 2), np.int32), None)
    found = FrameBoxes(
        np.zeros(2, np.int64),
        np.array([[100.0, 100, 150, 150], [10, 10, 50, 50]]),
        np.zeros(2, np.int64),
        np.array([0.90001, 0.90004]),
    )
    exact = next(fgfa_ap(truth, found, ["a"]))
    written = next(fgfa_ap(truth, found, ["a"], rounded=True))
    assert (exact.value, written.value) == (1.0, 0.5)


def test_blocks_of_any_size_give_the_same(make_case, monkeypatch):
    truth, found = make_case(1)
    whole = list(fgfa_ap(truth, found, CLASSES))
    blocks = []

    def small(*columns):
        for block in pairs.frame_blocks(*columns, size=2):
            blocks.append(block)
            yield block

    monkeypatch.setattr(fgfa, "frame_blocks", small)
    assert list(fgfa_ap(truth, found, CLASSES)) == whole
    assert len(blocks) > 3


def test_says_what_it_is():
    truth = VidTruth(one((0, 0, 9, 9)), np.arange(1), np.zeros((1, 2), np.int32), None)
    metrics = list(fgfa_ap(truth, one((0, 0, 9, 9)), ["a"]))
    assert [metric.name for metric in metrics] == ["AP50", "AP50/a"]
    assert {metric.lineage for metric in metrics} == {FGFA}
    assert "YOLOV" in FGFA.comparable_with
