"""GOT-10k's numbers against those of the toolkit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_vot.metrics.got10k import Tracked, got10k
from stpn_vot.metrics.overlap import box_iou

CLOSE = 1e-12
TRACKERS = ("det1", "sto3")


@pytest.fixture(scope="module")
def case(golden):
    return golden("vot/got10k_eval")


def tracked(case, tracker: str) -> dict[str, Tracked]:
    tensors, facts = case
    found = {}
    for name, about in facts["sequences"].items():
        times = tensors.get(f"in.{tracker}.{name}.times")
        found[name] = Tracked(
            tensors[f"in.{name}.groundtruth"].numpy(),
            tensors[f"in.{name}.cover"].numpy(),
            tensors[f"in.{tracker}.{name}.boxes"].numpy(),
            tuple(about["resolution_WH"]),
            None if times is None else times.numpy(),
        )
    return found


@pytest.mark.parametrize("tracker", TRACKERS)
def test_overall_numbers_are_the_toolkit_s(case, tracker):
    tensors, facts = case
    expected = facts["expected"][tracker]
    answer = got10k(tracked(case, tracker))
    overall = expected["overall"]
    assert answer.ao == pytest.approx(overall["ao"], abs=CLOSE)
    assert answer.sr50 == pytest.approx(overall["sr"], abs=CLOSE)
    assert answer.sr75 == pytest.approx(overall["succ_curve"][75], abs=CLOSE)
    np.testing.assert_allclose(answer.curve, overall["succ_curve"], 0, CLOSE)
    np.testing.assert_allclose(answer.curve, tensors[f"out.{tracker}.succ_curve"], 0, CLOSE)
    assert answer.fps == pytest.approx(overall["speed_fps"], abs=1e-9)
    slower = expected["extra"]["speed_frames_over_seconds"]
    assert answer.frames_per_second == pytest.approx(slower, abs=1e-9)
    assert answer.frames == expected["n_frames"]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_each_sequence_has_the_toolkit_s_numbers(case, tracker):
    _, facts = case
    for name, one in tracked(case, tracker).items():
        expected, answer = facts["expected"][tracker]["seq_wise"][name], got10k({name: one})
        if expected["ao"] is None:
            assert np.isnan(answer.ao)
            continue
        assert answer.ao == pytest.approx(expected["ao"], abs=CLOSE)
        assert answer.sr50 == pytest.approx(expected["sr"], abs=CLOSE)
        assert answer.fps == pytest.approx(expected["speed_fps"], abs=1e-9)


@pytest.mark.parametrize("tracker", TRACKERS)
def test_each_frame_has_the_toolkit_s_overlap(case, tracker):
    tensors, _ = case
    for name, one in tracked(case, tracker).items():
        for size, key in ((one.size, "iou"), (None, "iou_unbounded")):
            ours = [box_iou(row[1:], one.truth[1:], size) for row in one.boxes]
            theirs = tensors[f"out.{tracker}.{name}.{key}"].numpy()
            np.testing.assert_allclose(ours, theirs.reshape(np.shape(ours)), 0, CLOSE)


def test_a_box_that_begins_outside_is_moved_and_not_cut():
    box, truth = np.array([[-10.0, 20, 50, 40]]), np.array([[0.0, 20, 40, 40]])
    assert box_iou(box, truth, (320, 240))[0] == pytest.approx(0.8)
    inside = np.array([[0.0, 20, 40, 40]])  # what cutting would leave
    assert box_iou(inside, truth, (320, 240))[0] == pytest.approx(1)
    assert box[0, 0] == -10


def test_success_is_strictly_above_the_threshold():
    truth = np.array([[0.0, 0, 10, 10]] * 3)
    boxes = np.array([[[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 10]]])
    one = Tracked(truth, np.full(3, 8.0), boxes, (100, 100))
    assert got10k({"a": one}).sr50 == 0.5
    assert got10k({"a": dataclasses.replace(one, cover=np.array([8.0, 0, 8]))}).sr50 == 1


def test_classes_count_alike_however_long_their_sequences_are():
    truth = np.array([[0.0, 0, 10, 10]] * 11)
    right, wrong = truth[None].copy(), truth[None] + 50
    long = Tracked(truth, np.full(11, 8.0), right, (100, 100), object_class="dog")
    short = Tracked(truth[:3], np.full(3, 8.0), wrong[:, :3], (100, 100), object_class="cat")
    answer = got10k({"a": long, "b": short})
    assert answer.ao == pytest.approx(10 / 12)
    assert answer.mean_class_ao == pytest.approx(0.5)
    assert answer.mean_class_sr50 == 0.5


def test_nothing_visible_is_no_number():
    one = Tracked(np.ones((3, 4)), np.zeros(3), np.ones((1, 3, 4)), (9, 9))
    assert np.isnan(got10k({"a": one}).ao)
    assert np.isnan(got10k({"a": one}).fps)


@pytest.mark.parametrize("fault", ["short", "nan"])
def test_boxes_that_cannot_be_used_name_their_sequence(case, fault):
    found = tracked(case, "det1")
    name = next(iter(found))
    boxes = found[name].boxes.copy()
    got10k(found)
    if fault == "short":
        boxes = boxes[:, 1:]
    else:
        boxes[0, 2, 1] = np.nan
    found[name] = dataclasses.replace(found[name], boxes=boxes)
    with pytest.raises(InputError, match=name):
        got10k(found)
