from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.motion import EVERY_SPEED, SPEEDS
from stpn_vod.vid_ap import MEGA, VFE, VidTruth, mega, mega_ap, pairs, vfe_ap

CLASSES = ("a", "b", "c")


def overlap(a, b) -> float:
    """Both corners of both boxes one pixel further out, and corner pixels counted."""
    width = min(a[2], b[2]) + 1 - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) + 1 - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(c[2] - c[0] + 2) * (c[3] - c[1] + 2) for c in (a, b)]
    return width * height / (areas[0] + areas[1] - width * height)


def mega_objects(truth: VidTruth, place: int):
    """Box, label and motion of the objects of a frame, as MEGA sees them."""
    rows = np.flatnonzero(truth.boxes.frames == truth.frames[place])
    width, height = truth.sizes[place]
    for row in rows:
        x1, y1, x2, y2 = truth.boxes.boxes[row]
        if width:
            x2, y2 = min(x2, width - 1), min(y2, height - 1)
        yield (max(x1, 0), max(y1, 0), x2, y2), truth.boxes.labels[row], truth.motion[row]


def vfe_objects(truth: VidTruth, place: int):
    rows = np.flatnonzero(truth.boxes.frames == truth.frames[place])
    motion = iter(truth.motion[rows])
    width, height = truth.sizes[place] if truth.sizes[place][0] else (1e9, 1e9)
    for row in rows:
        x1, y1, x2, y2 = truth.boxes.boxes[row]
        visible = min(x2, width) > max(x1, 0) and min(y2, height) > max(y1, 0)
        if visible and x2 - x1 >= 1 and y2 - y1 >= 1:
            yield (x1, y1, x2, y2), truth.boxes.labels[row], next(motion)


def slowly(truth: VidTruth, found: FrameBoxes, label: int, group, objects_of) -> float:
    """One class, one speed group, one detection at a time."""
    values = [*truth.motion, *(0.0 for f in truth.frames if f not in truth.boxes.frames)]
    share = sum(group.low <= v <= group.high for v in values) / len(values)
    positives, rows = 0, []
    for place, frame in enumerate(truth.frames):
        objects = [(b, m) for b, c, m in objects_of(truth, place) if c == label]
        counts = [group.low <= m <= group.high for _, m in objects]
        positives += sum(counts)
        mine = [
            i for i in range(len(found)) if found.frames[i] == frame and found.labels[i] == label
        ]
        free = set(range(len(objects)))
        for i in sorted(mine, key=lambda i: (-found.scores[i], -i)):
            ious = [overlap(found.boxes[i], box) for box, _ in objects]
            best = max((ious[k] for k in free), default=0.0)
            hit, weight = False, 0.0
            if best >= 0.5:
                equal = [k for k in sorted(free) if ious[k] == best]
                chosen = next((k for k in equal if counts[k]), equal[-1])
                free.discard(chosen)
                hit = counts[chosen]
            elif not objects:
                weight = share
            else:
                inside = max((v for v, c in zip(ious, counts, strict=True) if c), default=-1)
                outside = max((v for v, c in zip(ious, counts, strict=True) if not c), default=-1)
                alike = 1 - sum(counts) / len(counts)
                weight = 1.0 if inside > outside else 0.0 if outside > inside else alike
            rows.append((found.scores[i], hit, weight))
    if not positives:
        return -1.0
    ranked = [rows[i] for i in sorted(range(len(rows)), key=lambda i: (-rows[i][0], -i))]
    true = false = 0.0
    points = []
    for _, hit, weight in ranked:
        true, false = true + hit, false + weight
        points.append((true / positives, true / (true + false) if true else 0.0))
    area = last = 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[k:])
        last = recall
    return area


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize(("evaluate", "objects"), [(mega_ap, mega_objects), (vfe_ap, vfe_objects)])
def test_equals_the_definition(make_case, seed, evaluate, objects):
    truth, found = make_case(seed)
    values = {metric.name: metric.value for metric in evaluate(truth, found, CLASSES)}
    for group in (EVERY_SPEED, *SPEEDS):
        prefix = "AP50" if group is EVERY_SPEED else f"AP50/{group.name}"
        want = [slowly(truth, found, label, group, objects) for label in range(3)]
        got = [values[f"{prefix}/{name}"] for name in CLASSES]
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12, err_msg=prefix)
        known = [value for value in want if value >= 0]
        assert values[prefix] == pytest.approx(np.mean(known) if known else -1, abs=1e-12)


def test_the_cases_reach_what_the_evaluators_disagree_on(make_case):
    """Without this the test above could pass on cases too plain to tell anything."""

    def first(evaluate, truth, found):
        return {m.name: m.value for m in evaluate(truth, found, CLASSES)}

    cases = [make_case(seed) for seed in range(100)]
    assert sum(first(mega_ap, *case) != first(vfe_ap, *case) for case in cases) > 20
    unsized = [
        (dataclasses.replace(truth, sizes=np.zeros_like(truth.sizes)), found)
        for truth, found in cases
    ]
    changed = [
        first(mega_ap, *a) != first(mega_ap, *b) for a, b in zip(cases, unsized, strict=True)
    ]
    assert sum(changed) > 20
    reversed_ = [(truth, found.take(np.arange(len(found))[::-1])) for truth, found in cases]
    changed = [
        first(mega_ap, *a) != first(mega_ap, *b) for a, b in zip(cases, reversed_, strict=True)
    ]
    assert sum(changed) > 20


def one_frame(boxes, motion, size=(200, 200)) -> VidTruth:
    n = len(boxes)
    rows = FrameBoxes(
        np.zeros(n, np.int64), np.array(boxes, float), np.zeros(n, np.int64), np.ones(n)
    )
    return VidTruth(rows, np.arange(2), np.array([size, size], np.int32), np.array(motion))


def detect(*boxes, frame: int = 0) -> FrameBoxes:
    n = len(boxes)
    return FrameBoxes(
        np.full(n, frame),
        np.array(boxes, float).reshape(-1, 4),
        np.zeros(n, np.int64),
        np.linspace(1, 0.5, n),
    )


def value(metrics, name="AP50") -> float:
    return next(metric.value for metric in metrics if metric.name == name)


def test_two_pixels_longer_sides_decide_at_one_half():
    truth = one_frame([(10, 10, 28, 28)], [1.0])  # 20 x 20 by this rule
    assert value(mega_ap(truth, detect((10, 10, 18, 28)), ["a"])) == pytest.approx(1)  # 10 x 20
    assert value(mega_ap(truth, detect((10, 10, 17.99, 28)), ["a"])) == 0


def test_frames_without_objects_make_fast_false_positives_heavier():
    truth = one_frame([(10, 10, 50, 50), (100, 100, 150, 150)], [0.5, 0.95])
    found = detect((10, 10, 50, 50), (100, 100, 150, 150))
    spoiled = FrameBoxes(
        np.array([1, 0, 0]), found.boxes[[0, 0, 1]], np.zeros(3, np.int64), np.array([1, 0.9, 0.8])
    )
    # three motion values: 0.5, 0.95 and 0.0 of the empty frame
    assert value(mega_ap(truth, spoiled, ["a"]), "AP50/fast") == pytest.approx(1 / (1 + 2 / 3))
    assert value(mega_ap(truth, spoiled, ["a"]), "AP50/slow") == pytest.approx(1 / (1 + 1 / 3))
    assert value(mega_ap(truth, spoiled, ["a"])) == pytest.approx(2 / 3)


def test_a_thin_object_shifts_the_groups_of_vfe_only():
    truth = one_frame([(5, 5, 5, 40), (50, 50, 90, 90)], [0.2, 1.0])
    found = detect((50, 50, 90, 90))
    assert value(mega_ap(truth, found, ["a"]), "AP50/slow") == pytest.approx(1)
    assert value(vfe_ap(truth, found, ["a"]), "AP50/slow") == -1
    assert value(vfe_ap(truth, found, ["a"]), "AP50/fast") == pytest.approx(1)
    assert value(vfe_ap(truth, found, ["a"])) == pytest.approx(1)
    assert value(mega_ap(truth, found, ["a"])) == pytest.approx(0.5)


def test_of_two_equal_objects_outside_the_group_the_last_is_taken():
    def at(x):
        return (x, 10, x + 40, 50)

    truth = one_frame([at(0), at(8), at(-12), (200, 100, 240, 140)], [0.2, 0.2, 0.95, 0.95], (0, 0))
    # The second lies between the fast objects 0 and 8 and takes 8, so the third finds 0 free and
    # counts neither way; had it to go without, it would be a false alarm about the slow one at -12.
    found = detect(at(-12), at(4), at(-8), (200, 100, 240, 140))
    assert value(mega_ap(truth, found, ["a"]), "AP50/slow") == pytest.approx(1)
    swapped = VidTruth(
        truth.boxes.take(np.array([1, 0, 2, 3])), truth.frames, truth.sizes, truth.motion
    )
    assert value(mega_ap(swapped, found, ["a"]), "AP50/slow") == pytest.approx((1 + 2 / 3) / 2)


def test_one_pixel_is_thick_enough_for_vfe():
    for side, want in ((1.0, 1.0), (0.99, -1.0)):
        box = (10, 10, 10 + side, 40)
        assert value(vfe_ap(one_frame([box], [1.0]), detect(box), ["a"])) == pytest.approx(want)


def test_blocks_of_any_size_give_the_same(make_case, monkeypatch):
    truth, found = make_case(1)
    whole = list(mega_ap(truth, found, CLASSES))
    blocks = []

    def small(*columns):
        for block in pairs.frame_blocks(*columns, size=2):
            blocks.append(block)
            yield block

    monkeypatch.setattr(mega, "frame_blocks", small)
    assert list(mega_ap(truth, found, CLASSES)) == whole
    assert len(blocks) > 3


def test_says_what_it_is():
    truth = one_frame([(10, 10, 28, 28)], [1.0])
    for evaluate, lineage in ((mega_ap, MEGA), (vfe_ap, VFE)):
        assert {metric.lineage for metric in evaluate(truth, detect(), ["a"])} == {lineage}
    assert "DAFA" in MEGA.comparable_with
    assert "STPN" in VFE.comparable_with
    assert "clipped" in MEGA.quirks[0]
