from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from vis_tree import vis_tree

from stpn_data import open_dataset
from stpn_data.errors import DataError
from stpn_data.holdout import _rarest_classes, hold_out, parse_part
from stpn_data.index import Video, VideoIndex, build_index, concat
from stpn_data.masks import instances_of
from stpn_data.subset import select_videos


def labelled(labels: list[int], root: str = "/data") -> VideoIndex:
    """A video of two frames for each label; frame 1 holds its box."""
    videos = [
        Video(
            name=f"v{number:03d}",
            folder=f"{root}/v{number:03d}",
            files=["0.jpg", "1.jpg"],
            box_counts=np.array([0, 1]),
            boxes=np.array([[number, 0, number + 9, 9]], np.float32),
            labels=np.array([label], np.int16),
            keys=[1],
        )
        for number, label in enumerate(labels)
    ]
    return build_index(Path(root), ("a", "b", "c"), "made", videos)


def test_each_class_gives_its_share() -> None:
    index = labelled([0] * 100 + [1] * 40 + [2] * 10)
    train, held = hold_out(index, 0.1)
    assert (train.num_videos, held.num_videos) == (135, 15)
    assert Counter(held.labels.tolist()) == {0: 10, 1: 4, 2: 1}
    assert sorted(train.video_names + held.video_names) == list(index.video_names)


def test_the_parts_stay_the_same() -> None:
    names = hold_out(labelled([0, 1, 2] * 10), 0.1)[1].video_names
    assert names == ("v000", "v017", "v025")  # on any machine
    assert hold_out(labelled([0, 1, 2] * 10, "/elsewhere"), 0.1)[1].video_names == names
    assert hold_out(labelled([0, 1, 2] * 10), 0.1, seed=1)[1].video_names != names


def test_a_video_counts_for_its_rarest_class() -> None:
    both = labelled([0] * 19 + [1])
    video = Video(
        name="both",
        folder="/data/both",
        files=["0.jpg"],
        box_counts=np.array([2]),
        boxes=np.zeros((2, 4), np.float32),
        labels=np.array([0, 1], np.int16),
    )
    index = build_index(Path("/data"), both.classes, "made", [video])
    assert _rarest_classes(concat([both, index])) == [0] * 19 + [1, 1]
    assert _rarest_classes(select_videos(both, [3])) == [0]


def test_what_is_kept_of_a_video(tmp_path: Path) -> None:
    whole = open_dataset(vis_tree(tmp_path), cache=False)
    turned = select_videos(whole, [1, 0])
    assert turned.video_names == ("b", "a")
    assert turned.keys.tolist() == [3, 4, 5, 6, 0, 1, 2]
    assert turned.frame_path(3) == whole.frame_path(0)
    for new, old in [(0, 4), (1, 5), (3, 0), (5, 2)]:
        assert np.array_equal(turned.masks_of(new), whole.masks_of(old))
        for before, after in zip(whole.boxes_of(old), turned.boxes_of(new), strict=True):
            assert np.array_equal(before, after)
    assert instances_of(turned, 0) == instances_of(whole, 1)
    assert instances_of(turned, 1) == instances_of(whole, 0)
    assert turned.masks is not None
    assert turned.masks.video_ids.tolist() == [10, 20]
    alone = select_videos(whole, [1])
    assert alone.num_frames == 3
    assert instances_of(alone, 0) == instances_of(whole, 1)


def test_parts_of_a_split_by_name(tmp_path: Path) -> None:
    vis_tree(tmp_path)
    train, held = (
        open_dataset(tmp_path, f"train{part}", cache=False) for part in ("[:50%]", "[50%:]")
    )
    one, other = hold_out(open_dataset(tmp_path, cache=False), 0.5)
    assert (train.video_names, held.video_names) == (one.video_names, other.video_names)
    assert held.source.endswith("1 of 2 videos held out")
    assert train.source.endswith("1 of 2 videos without those held out")
    assert parse_part("val") == ("val", 0.0, False)
    assert parse_part("train[:97.5%]") == ("train", 0.025, False)
    assert parse_part("train[97.5%:]") == ("train", 0.025, True)


@pytest.mark.parametrize(
    "split", ["t[90%]", "t[:]", "t[:0%]", "t[:100%]", "t[10%:90%]", "t[:90]", "t[:9.9.9%]", "[:9%]"]
)
def test_parts_that_make_no_sense(split: str) -> None:
    with pytest.raises(DataError, match=r"cannot read the split .*; write train\[:90%\]"):
        parse_part(split)


def test_too_little_to_divide() -> None:
    for share, videos in ((0.1, 1), (0.0, 5), (1.0, 5)):
        with pytest.raises(DataError, match="cannot hold out"):
            hold_out(labelled([0] * videos), share)
    assert hold_out(labelled([0, 0]), 0.01)[1].num_videos == 1
    assert hold_out(labelled([0, 0]), 0.99)[0].num_videos == 1
