"""What must hold of every definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_vod.coco_ap import FrameBoxes, concat_boxes, no_boxes
from stpn_vod.vid_ap import VidTruth, fgfa_ap, mega_ap, vfe_ap

CLASSES = ("a", "b", "c")
EVALUATORS = (mega_ap, vfe_ap, fgfa_ap)
seeds = st.integers(0, 2**32 - 1)
some = settings(max_examples=25, deadline=None)


def scene(seed: int) -> tuple[VidTruth, FrameBoxes]:
    """Objects apart from each other, each found at most once and well, plus false alarms elsewhere.

    With a second detection near an object, losing the first may help: the second then counts.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    cells = np.sort(rng.choice(12 * 16, n, replace=False))  # frame, then place on a 4 x 4 grid
    frames, place = cells // 16, cells % 16
    corner = np.stack([place % 4, place // 4], 1) * 100.0 + rng.uniform(0, 20, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 70, (n, 2))], 1)
    labels = rng.integers(0, 3, n)
    truth = VidTruth(
        FrameBoxes(frames, boxes, labels, np.ones(n)),
        np.arange(14),
        np.full((14, 2), 700, np.int32),
        rng.uniform(0, 1, n) ** 0.3,
    )
    hit = rng.random(n) < 0.8
    side = np.tile(boxes[hit, 2:] - boxes[hit, :2], 2)
    moved = boxes[hit] + rng.uniform(-0.08, 0.08, side.shape) * side
    alarms = rng.uniform(500, 600, (10, 2))
    found = concat_boxes(
        [
            FrameBoxes(frames[hit], moved, labels[hit], np.ones(len(moved))),
            FrameBoxes(
                rng.integers(0, 14, 10),
                np.concatenate([alarms, alarms + 9], 1),
                rng.integers(0, 3, 10),
                np.ones(10),
            ),
        ]
    )
    scores = rng.permutation(len(found)) / len(found)
    return truth, FrameBoxes(found.frames, found.boxes, found.labels, scores)


def values(evaluate, truth: VidTruth, found: FrameBoxes) -> dict[str, float]:
    return {metric.name: metric.value for metric in evaluate(truth, found, CLASSES)}


@pytest.mark.parametrize("evaluate", EVALUATORS)
@some
@given(seeds)
def test_truth_as_prediction_is_perfect(evaluate, seed):
    truth, _ = scene(seed)
    got = values(evaluate, truth, truth.boxes)
    assert got["AP50"] == pytest.approx(1, abs=1e-12)
    assert all(value == -1 or value == pytest.approx(1, abs=1e-12) for value in got.values())
    assert {f"AP50/{name}" for name in CLASSES} <= set(got)


@pytest.mark.parametrize("evaluate", EVALUATORS)
@some
@given(seeds)
def test_order_does_not_matter(evaluate, seed):
    truth, found = scene(seed)
    shuffled = found.take(np.random.default_rng(seed).permutation(len(found)))
    assert values(evaluate, truth, found) == values(evaluate, truth, shuffled)


@pytest.mark.parametrize("evaluate", EVALUATORS)
@some
@given(seeds, st.integers(0, 100))
def test_losing_a_true_detection_never_helps(evaluate, seed, which):
    truth, found = scene(seed)
    hits = len(found) - 10
    if not hits:
        return
    kept = np.delete(np.arange(len(found)), which % hits)
    before, after = values(evaluate, truth, found), values(evaluate, truth, found.take(kept))
    assert all(after[name] <= value + 1e-12 for name, value in before.items())


@pytest.mark.parametrize("evaluate", EVALUATORS)
@some
@given(seeds)
def test_values_are_precisions(evaluate, seed):
    truth, found = scene(seed)
    got = values(evaluate, truth, found)
    assert all(value == -1 or 0 <= value <= 1 + 1e-12 for value in got.values())
    assert {name for name, value in got.items() if value == -1} == {
        name for name, value in values(evaluate, truth, no_boxes()).items() if value == -1
    }


@pytest.mark.parametrize("evaluate", EVALUATORS)
def test_empty_is_legal(evaluate):
    truth, found = scene(0)
    nothing_found = values(evaluate, truth, no_boxes())
    assert set(nothing_found.values()) <= {0.0, -1.0}
    assert nothing_found["AP50"] == 0
    for motion in (np.zeros(0), None):
        bare = VidTruth(no_boxes(), truth.frames, truth.sizes, motion)
        for rows in (found, no_boxes()):
            assert set(values(evaluate, bare, rows).values()) == {-1.0}
        nowhere = VidTruth(no_boxes(), truth.frames[:0], truth.sizes[:0], motion)
        assert set(values(evaluate, nowhere, no_boxes()).values()) == {-1.0}
    assert [m.value for m in evaluate(bare, no_boxes(), ())] == [-1.0]
