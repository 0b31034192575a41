"""OTB's and LaSOT's numbers against those of three evaluators."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_vot.metrics.frame_errors import analysis_errors, toolkit_errors
from stpn_vot.metrics.got10k import Tracked
from stpn_vot.metrics.one_pass import CONVENTIONS, OVERLAPS, one_pass

CLOSE = 1e-12
BY_NAME = {one.name: one for one in CONVENTIONS}
TRACKERS = ("good", "bad")
SECONDS = {"seq0": 0.05, "seq1": 0.06, "seq2": 0.07}  # of every frame, behind the speeds expected


@pytest.fixture(scope="module")
def case(golden):
    return golden("vot/otb_lasot_eval")


def tracked(case, tracker: str) -> dict[str, Tracked]:
    tensors, facts = case
    return {
        name: Tracked(
            tensors[f"in.{name}.groundtruth"].numpy(),
            8.0 * tensors[f"in.{name}.visible"].numpy(),
            tensors[f"in.{tracker}.{name}.boxes"].numpy()[None],
            None,
            np.full((len(tensors[f"in.{name}.visible"]), 1), SECONDS[name]),
            object_class=name,
        )
        for name in facts["sequences"]
    }


@pytest.mark.parametrize("tracker", TRACKERS)
def test_each_frame_has_the_toolkit_s_errors(case, tracker):
    tensors, _ = case
    for name, one in tracked(case, tracker).items():
        errors = toolkit_errors(one.boxes[0], one.truth)
        for ours, key in (
            (errors.overlap, "iou"),
            (errors.centre, "center_error"),
            (errors.norm_centre, "norm_center_error"),
        ):
            theirs = tensors[f"out.{tracker}.{name}.{key}"].numpy()
            np.testing.assert_allclose(ours, theirs, 0, CLOSE)


@pytest.mark.parametrize("data", ["otb", "lasot"])
@pytest.mark.parametrize("tracker", TRACKERS)
def test_toolkit_numbers(case, tracker, data):
    expected = case[1]["expected"][tracker][f"toolkit_{data}"]
    sequences = tracked(case, tracker)
    whole = one_pass(sequences, BY_NAME["toolkit"], visibility=data == "lasot")
    single = {
        name: one_pass({name: one}, BY_NAME["toolkit"], visibility=data == "lasot")
        for name, one in sequences.items()
    }
    for answer, wanted in [
        (whole, expected["overall"]),
        *((single[name], one) for name, one in expected["seq_wise"].items()),
    ]:
        assert answer.auc == pytest.approx(wanted["success_score"], abs=CLOSE)
        assert answer.precision == pytest.approx(wanted["precision_score"], abs=CLOSE)
        assert answer.op50 == pytest.approx(wanted["success_rate"], abs=CLOSE)
        assert answer.fps == pytest.approx(wanted["speed_fps"], abs=1e-9)
        if data == "lasot":
            norm = wanted["normalized_precision_score"]
            assert answer.norm_precision == pytest.approx(norm, abs=CLOSE)
    overall = expected["overall"]
    np.testing.assert_allclose(whole.success, overall["success_curve"], 0, CLOSE)
    np.testing.assert_allclose(whole.pixels, overall["precision_curve"], 0, CLOSE)
    if data == "lasot":
        np.testing.assert_allclose(whole.sides, overall["normalized_precision_curve"], 0, CLOSE)


@pytest.mark.parametrize("excluded", [0, 1])
@pytest.mark.parametrize("data", ["otb", "lasot", "uav", "got10k"])
@pytest.mark.parametrize("family", ["mixformer", "pytracking"])
@pytest.mark.parametrize("tracker", TRACKERS)
def test_analysis_numbers(case, tracker, family, data, excluded):
    expected = case[1]["expected"][tracker][f"{family}_analysis"][f"{data}_excl{excluded}"]
    convention = BY_NAME[family + "-excluded" * excluded]
    sequences = tracked(case, tracker)
    answer = one_pass(sequences, convention, visibility=data == "lasot")
    for value, key in (
        (answer.auc, "AUC"),
        (answer.op50, "OP50"),
        (answer.op75, "OP75"),
        (answer.precision, "precision"),
        (answer.norm_precision, "norm_precision"),
        (answer.success, "success_curve"),
        (answer.pixels, "precision_curve"),
        (answer.sides, "norm_precision_curve"),
    ):
        np.testing.assert_allclose(100 * np.array(value), expected[key], 0, 1e-3, err_msg=key)
    each = [
        one_pass({name: one}, convention, visibility=data == "lasot").overlap
        for name, one in sequences.items()
    ]
    np.testing.assert_allclose(each, expected["avg_overlap_per_seq"], 0, CLOSE)


def test_thresholds_are_those_of_the_evaluators(case):
    assert OVERLAPS["analysis"].tolist() == case[1]["threshold_set_overlap"]


def still(truth: np.ndarray, **more) -> dict[str, Tracked]:
    """A tracker that is always right, but for what the annotation says of itself."""
    right = np.where(truth > 0, truth, 5.0)
    return {"a": Tracked(truth, np.full(len(truth), 8.0), right[None], None, **more)}


def test_the_families_differ_in_what_is_annotated():
    """A box that begins left of the image is invalid for pytracking alone; invalid frames fail, but
    not in normalised precision, which exceeds 100 % where they are left out."""
    truth = np.array([[10.0, 10, 8, 8]] * 10)
    truth[2:5, 0] = -3
    sequences = still(truth)
    sequences["a"].boxes[0][:] = truth
    numbers = {c.name: one_pass(sequences, c, visibility=False) for c in CONVENTIONS}
    assert numbers["toolkit"].op50 == numbers["mixformer"].op50 == 1
    assert numbers["pytracking"].op50 == pytest.approx(0.7)
    assert numbers["pytracking"].precision == pytest.approx(0.7)
    assert numbers["pytracking"].norm_precision == 1
    assert numbers["pytracking-excluded"].op50 == 1
    assert numbers["pytracking-excluded"].norm_precision == pytest.approx(10 / 7)


def test_frames_without_annotation_are_left_out_by_the_toolkit_and_fail_elsewhere():
    truth = np.array([[10.0, 10, 8, 8]] * 8)
    truth[3] = np.nan
    sequences = still(truth)
    assert one_pass(sequences, BY_NAME["toolkit"], visibility=True).op50 == 1
    assert one_pass(sequences, BY_NAME["mixformer"], visibility=True).op50 == pytest.approx(7 / 8)


def test_visibility_is_asked_for_or_not():
    truth = np.array([[10.0, 10, 8, 8]] * 10)
    cover = np.array([8.0] * 6 + [0] * 4)
    sequences = {"a": Tracked(truth, cover, truth[None].copy(), None)}
    for name, share in (("toolkit", 1), ("mixformer", 0.6), ("mixformer-excluded", 1)):
        convention = BY_NAME[name]
        assert one_pass(sequences, convention, visibility=False).precision == 1
        assert one_pass(sequences, convention, visibility=True).precision == pytest.approx(share)


def test_a_box_without_area_is_the_one_before_for_the_analysis_alone():
    truth = np.array([[10.0, 10, 8, 8]] * 4)
    boxes = truth.copy()
    boxes[2, 2] = 0
    assert analysis_errors(boxes, truth, None, whole_box=False).overlap[2] == pytest.approx(1)
    assert toolkit_errors(boxes, truth).overlap[2] == 0


def test_classes_and_repetitions_count_alike():
    truth = np.array([[10.0, 10, 8, 8]] * 10)
    right, wrong = truth[None], truth[None] + 100
    one = Tracked(truth, np.full(10, 8.0), right, None, object_class="dog")
    sequences = {
        "a": one,
        "b": dataclasses.replace(one),
        "c": dataclasses.replace(one, boxes=wrong, object_class="cat"),
    }
    answer = one_pass(sequences, BY_NAME["toolkit"], visibility=False)
    low = one_pass({"c": sequences["c"]}, BY_NAME["toolkit"], visibility=False).auc
    high = one_pass({"a": one}, BY_NAME["toolkit"], visibility=False).auc
    assert answer.auc == pytest.approx((2 * high + low) / 3)
    assert answer.mean_class_auc == pytest.approx((high + low) / 2)
    both = dataclasses.replace(one, boxes=np.concatenate([right, wrong]))
    assert one_pass({"a": both}, BY_NAME["toolkit"], visibility=False).auc == pytest.approx(
        (high + low) / 2
    )


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [((0, 2, 1), np.nan, "not finite"), ((0, 2, 3), -1.0, "below 0")],
    ids=["nan", "negative"],
)
def test_boxes_that_cannot_be_used_name_their_sequence(case, place, value, message):
    found = tracked(case, "good")
    one_pass(found, BY_NAME["pytracking"], visibility=True)
    boxes = found["seq1"].boxes.copy()
    boxes[place] = value
    found["seq1"] = dataclasses.replace(found["seq1"], boxes=boxes)
    with pytest.raises(InputError, match=f"seq1: .*{message}"):
        one_pass(found, BY_NAME["pytracking"], visibility=True)


def test_nothing_to_count_is_an_error():
    truth = np.array([[-1.0, -1, 8, 8]] * 3)
    sequences = {"a": Tracked(truth, np.full(3, 8.0), truth[None].copy(), None)}
    with pytest.raises(InputError, match="a: no frame counts"):
        one_pass(sequences, BY_NAME["pytracking-excluded"], visibility=False)
    with pytest.raises(InputError, match="no sequence"):
        one_pass({}, BY_NAME["toolkit"], visibility=False)
