"""Targets of an index: which there are, and where each can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from stpn_data.datasets import open_dataset
from stpn_data.errors import DataError
from stpn_data.index import ABSENT
from stpn_data.masks import CROWD
from stpn_data.tracking import TargetRule, find_targets

from .columns import index_of, seen

ANY = TargetRule(min_frames=1, min_visible=1, min_still=0)


def test_each_identity_of_each_video_is_a_target():
    rows = [seen(t, track) for t in range(4) for track in (5, 2) if (t, track) != (1, 5)]
    found = find_targets(index_of((4, rows), (3, [seen(t, 2) for t in range(3)])), ANY)
    assert [found.name(n) for n in range(len(found))] == ["v0#2", "v0#5", "v1#2"]
    assert found.label.tolist() == [2, 2, 2]
    assert [found.times(n).tolist() for n in range(3)] == [[0, 1, 2, 3], [0, 2, 3], [0, 1, 2]]
    assert found.times_without(1).tolist() == [1]
    assert found.box(1, 2) == (2.0, 5.0, 10.0, 20.0)
    assert found.box(2, 1) == (1.0, 2.0, 10.0, 20.0)
    assert found.first_frame(2) == 4
    assert [found.length(n) for n in range(3)] == [4, 4, 3]
    with pytest.raises(KeyError, match="v0#5 has no box with an area in frame 1"):
        found.box(1, 1)


def test_what_cannot_be_seen_is_not_visible():
    nan = float("nan")
    rows = [
        seen(0),
        seen(1, flags=ABSENT),
        (2, 0, (5, 5, 5, 9), 0),  # no width
        (3, 0, (9, 5, 5, 9), 0),  # inverted
        (4, 0, (nan, 5, 8, 9), 0),
        (6, 0, (-30, -30, -20, -20), 0),  # outside the image, but a box
        seen(7),
    ]
    found = find_targets(index_of((10, rows), unlooked=[8], missing=[7, 9]), ANY)
    assert found.times(0).tolist() == [0, 6]
    assert found.times(0, absent=True).tolist() == [0, 1, 6]
    # 7 and 9 have no file, and nobody looked at 8
    assert found.times_without(0).tolist() == [1, 2, 3, 4, 5]


def test_targets_that_are_seen_too_rarely_are_left_out():
    def rows(visible: int) -> list:
        return [seen(t, flags=0 if t < visible else ABSENT) for t in range(20)]

    index = index_of((20, rows(7)), (20, rows(6)), (19, [seen(t) for t in range(19)]))
    found = find_targets(index)
    assert found.video.tolist() == [0]
    assert found.notes == (
        "left out: 2 targets visible in fewer than 7 frames or in videos of fewer than 20",
    )
    assert find_targets(index, TargetRule(min_frames=19)).video.tolist() == [0, 2]
    assert find_targets(index, TargetRule(min_visible=6)).video.tolist() == [0, 1]


def test_boxes_of_a_still_image_are_targets_of_their_own():
    box = (0, 0, 51, 51)
    rows = [(0, -1, box, 0), (0, -1, box, 0), (0, -1, (0, 0, 50, 99), 0), (0, -1, box, CROWD)]
    found = find_targets(index_of((1, rows)))
    assert len(found) == 2
    assert found.name(0) == "v0"
    assert found.rows.tolist() == [0, 1]
    assert found.notes == (
        "left out: 1 boxes of a crowd",
        "left out: 1 single boxes of 50 pixels or less",
    )
    # with numbers, as a reader of targets gives them, it is the same
    numbered = [(0, i, box, 0) for i, (_, _, box, _) in enumerate(rows[:3])]
    assert len(find_targets(index_of((1, numbered)))) == 2


def test_boxes_without_identity_and_boxes_given_twice_are_counted():
    rows = [seen(t) for t in range(20)] + [seen(3, -1), seen(4, -1), seen(5)]
    found = find_targets(index_of((20, rows)))
    assert len(found) == 1
    assert found.times(0).tolist() == list(range(20))
    assert found.notes == (
        "left out: 2 boxes without identity",
        "left out: 1 boxes of one target in one frame again",
    )


def test_no_target_is_an_error_that_says_why():
    with pytest.raises(DataError, match="made up: no target to train a tracker on; left out: 1 t"):
        find_targets(index_of((5, [seen(t) for t in range(5)])))
    with pytest.raises(DataError, match="made up: no target"):
        find_targets(index_of((5, [])))


@pytest.mark.parametrize("seed", range(6))
def test_as_found_one_by_one(seed):
    rng = np.random.default_rng(seed)
    videos = []
    for _ in range(5):
        length = int(rng.integers(1, 9))
        rows = [
            seen(t, track, int(rng.choice([0, 0, ABSENT, CROWD])))
            for t in range(length)
            for track in range(4)
            if rng.random() < 0.6
        ]
        videos.append((length, rows))
    rule = TargetRule(min_frames=4, min_visible=2, min_still=5)
    index = index_of((9, [seen(t, 9) for t in range(9)]), *videos)
    found = find_targets(index, rule)
    expected = {}
    for video, (length, rows) in enumerate([(9, [seen(t, 9) for t in range(9)]), *videos]):
        for track in range(10):
            mine = sorted(row for row in rows if row[1] == track and not row[3] & CROWD)
            visible = [row[0] for row in mine if not row[3]]
            if len(visible) >= (1 if length == 1 else 2) and (length >= 4 or length == 1):
                expected[f"v{video}#{track}"] = (visible, [row[0] for row in mine])
    names = [found.name(n) for n in range(len(found))]
    assert names == list(expected)
    for n, name in enumerate(names):
        assert found.times(n).tolist() == expected[name][0]
        assert found.times(n, absent=True).tolist() == expected[name][1]


def test_any_tracked_data_set_has_targets(shared):
    vid = find_targets(open_dataset(shared / "data/vid_own_classes", "train"))
    assert {vid.index.classes[label] for label in vid.label} == {"animal", "person"}
    assert len(vid) > len(np.unique(vid.video)) == 2  # several in a video
    masks = find_targets(open_dataset(shared / "data/youtube_vis", "train"))
    assert len(masks) > len(np.unique(masks.video)) > 3
    got10k = find_targets(open_dataset(shared / "data/got10k", "train"))
    assert len(got10k) == 7
    lines = (shared / "data/got10k/train/GOT-10k_Train_000003/groundtruth.txt").read_text()
    box = [float(side) for side in lines.split()[4].split(",")]
    assert got10k.box(2, 4) == pytest.approx(box, abs=1e-4)
