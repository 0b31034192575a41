from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from vis_tree import rectangle_mask, vis_tree

from stpn_data import open_dataset
from stpn_data.index import VideoIndex
from stpn_data.masks import instances_of, masks_of
from stpn_data.subset import without_crowds


def with_crowds(folder: Path, *ids: int) -> VideoIndex:
    """The small data set, where the objects `ids` stand for a group."""
    root = vis_tree(folder)
    (file,) = root.rglob("*.json")
    content = json.loads(file.read_text())
    for row in content["annotations"]:
        row["iscrowd"] = int(row["id"] in ids)
    file.write_text(json.dumps(content))
    return open_dataset(root, cache=False, progress=False)


def tracks(index: VideoIndex) -> list[list[int]]:
    return [index.boxes_of(i).tracks.tolist() for i in range(index.num_frames)]


def test_crowds_are_left_out_and_nothing_else(tmp_path: Path) -> None:
    whole = with_crowds(tmp_path, 2)
    left = without_crowds(whole)
    assert sum(2 in found for found in tracks(whole)) == 4  # there is something to leave out
    assert tracks(left) == [[t for t in found if t != 2] for found in tracks(whole)]
    assert (left.video_names, left.num_frames) == (whole.video_names, whole.num_frames)
    assert np.array_equal(left.keys, whole.keys)
    for frame, found in enumerate(tracks(left)):
        place = frame - left.frames_of(left.video_of(frame)).start
        expected = [rectangle_mask(track, place) for track in found]
        assert np.array_equal(masks_of(left, frame), np.array(expected).reshape(-1, 48, 64))
        assert len(left.boxes_of(frame).labels) == len(found)
    ids = [one.id for v in range(left.num_videos) for one in instances_of(left, v)]
    assert sorted(ids) == [1, 3, 4]


def test_without_a_crowd_the_index_stays_what_it_is(tmp_path: Path) -> None:
    index = with_crowds(tmp_path)
    assert without_crowds(index) is index


def test_nothing_but_crowds(tmp_path: Path) -> None:
    left = without_crowds(with_crowds(tmp_path, 1, 2, 3, 4))
    assert tracks(left) == [[]] * left.num_frames
    assert not len(left.labels)
