from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_data.index import Video, build_index
from stpn_vod.coco_ap import FrameBoxes, no_boxes
from stpn_vod.evaluate import frames_to_test, ground_truth
from stpn_vod.motion import EVERY_SPEED, SPEEDS, motion_iou
from stpn_vod.vid_ap import fgfa_ap, mega_ap, vfe_ap, vid_truth
from stpn_vod.vid_ap.truth import VidTruth


@pytest.fixture
def index():
    """Two videos of 7 and 4 frames; one box per frame moves, two frames are not annotated, and one
    is annotated without a box."""
    videos = []
    for v, length in enumerate((7, 4)):
        counts = np.ones(length, np.int64)
        counts[2] = 0
        annotated = np.ones(length, np.bool_)
        annotated[-1] = False
        t = np.flatnonzero(counts)
        left = 7.0 * t
        videos.append(
            Video(
                name=f"v{v}",
                folder="/nowhere",
                files=[f"{i}.jpg" for i in range(length)],
                sizes=np.full((length, 2), (90, 60 + v), np.int32),
                annotated=annotated,
                box_counts=counts,
                boxes=np.stack([left, left, left + 30, left + 20], 1).astype(np.float32),
                labels=np.full(len(t), v, np.int16),
                tracks=np.zeros(len(t), np.int32),
            )
        )
    return build_index(Path("/nowhere"), ("a", "b"), "test", videos)


@pytest.mark.parametrize("every", [1, 2, 3, 100])
def test_rows_are_those_that_detections_are_made_for(index, every):
    truth = vid_truth(index, frames_to_test(index, every))
    rows = ground_truth(index, every)
    for name in ("frames", "boxes", "labels", "scores"):
        np.testing.assert_array_equal(getattr(truth.boxes, name), getattr(rows, name))
    frames = [f for v in range(2) for f in index.frames_of(v)[::every] if index.annotated[f]]
    assert truth.frames.tolist() == frames
    np.testing.assert_array_equal(truth.sizes, index.sizes[frames])


def test_motion_is_measured_on_all_frames(index):
    truth = vid_truth(index, frames_to_test(index, 3))
    assert truth.boxes.frames.tolist() == [0, 3, 7]
    np.testing.assert_array_equal(truth.motion, motion_iou(index)[[0, 2, 6]])
    assert (truth.motion < 0.9).all()  # on the tested frames alone each would stand still


def test_frames_without_objects_count_as_fast(index):
    truth = vid_truth(index)  # 5 + 2 boxes, 2 empty frames
    assert len(truth.boxes) == 7
    values = np.append(truth.motion, [0.0, 0.0])
    for group in (EVERY_SPEED, *SPEEDS):
        assert truth.share(group) == group.holds(values).mean()
    assert truth.share(EVERY_SPEED) == 1
    assert truth.share(SPEEDS[2]) >= 2 / 9


def test_without_tracks_there_are_no_groups(index):
    lost = vid_truth(dataclasses.replace(index, tracks=np.full(len(index.tracks), -1, np.int32)))
    assert lost.motion is None
    assert lost.speeds == (EVERY_SPEED,)
    assert vid_truth(index).speeds == (EVERY_SPEED, *SPEEDS)
    assert [m.name for m in mega_ap(lost, no_boxes(), "ab")] == ["AP50", "AP50/a", "AP50/b"]


def found_on(frame: int, box=(0.0, 0.0, 9.0, 9.0), label: int = 0, score: float = 0.5):
    return FrameBoxes(np.array([frame]), np.array([box]), np.array([label]), np.array([score]))


@pytest.mark.parametrize("evaluate", [mega_ap, vfe_ap, fgfa_ap])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (found_on(1, box=(0, 0, np.nan, 9)), "is not finite"),
        (found_on(1, box=(0, 0, np.inf, 9)), "is not finite"),
        (found_on(1, score=np.nan), "is not finite"),
        (found_on(1, label=2), r"label outside 0\.\.1"),
        (found_on(1, label=-1), r"label outside 0\.\.1"),
        (found_on(6), "not tested"),  # not annotated
        (found_on(99), "not tested"),
    ],
)
def test_unusable_rows_are_named(index, evaluate, row, reason):
    truth = vid_truth(index)
    evaluate(truth, found_on(1), ("a", "b"))
    with pytest.raises(InputError, match=f"detections: row 0, frame .*{reason}"):
        evaluate(truth, row, ("a", "b"))


def test_unusable_annotations_are_named_with_their_data_set(index):
    boxes = index.boxes.copy()
    boxes[1, 2] = np.nan
    with pytest.raises(InputError, match="annotations of test: row 1, frame 1, is not finite"):
        vid_truth(dataclasses.replace(index, boxes=boxes))


def test_nothing_tested_has_a_share(index):
    nothing = VidTruth(no_boxes(), np.zeros(0, np.int64), np.zeros((0, 2), np.int32), np.zeros(0))
    assert [nothing.share(group) for group in nothing.speeds] == [1.0] * 4
