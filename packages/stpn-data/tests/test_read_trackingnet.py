from __future__ import annotations

from pathlib import Path

import pytest
from target_trees import trackingnet_video, write_lines

from stpn_data import open_dataset
from stpn_data.check import check_dataset
from stpn_data.errors import DataError
from stpn_data.layouts import find_layout
from stpn_data.readers import read_trackingnet


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    trackingnet_video(tmp_path, "TRAIN_10", "a_0")
    trackingnet_video(tmp_path, "TRAIN_2", "-b_0", 12)
    trackingnet_video(tmp_path, "TEST", "c_0", 5, rows=1)
    return tmp_path


def test_chunks_in_order_frames_by_number(tree: Path) -> None:
    index = read_trackingnet(tree, "train", progress=False)
    assert index.video_names == ("-b_0", "a_0")
    assert [index.file_name(frame) for frame in range(12)] == [f"{t}.jpg" for t in range(12)]
    assert index.boxes[11].tolist() == [16.5, 8, 46.5, 28]  # 10 and 11 come after 9
    assert index.classes == ("object",)
    assert index.keys.tolist() == list(range(15))
    assert index.sizes[0].tolist() == [64, 48]
    assert index.notes == ()
    assert read_trackingnet(tree, "TRAIN_10", progress=False).video_names == ("a_0",)


def test_the_test_chunk_has_first_boxes_alone(tree: Path) -> None:
    index = read_trackingnet(tree, "test", progress=False)
    assert index.annotated.tolist() == [True] + [False] * 4
    assert (len(index.boxes), index.keys.tolist(), index.notes) == (1, [0], ())


def test_it_is_found_and_checked(tree: Path) -> None:
    assert find_layout(tree, "train").format == "trackingnet"
    assert open_dataset(tree, "train", cache=False).num_videos == 2
    train, test = check_dataset(tree, progress=False)
    assert (train.split, train.counts, test.split, test.counts) == ("train", {}, "test", {})
    (tree / "TRAIN_10/anno/a_0.txt").unlink()
    (tree / "TRAIN_2/frames/-b_0/3.jpg").unlink()
    write_lines(tree / "TEST/anno/c_0.txt", ["1,2,30,20", "2,2,30,20"])
    train, test = check_dataset(tree, progress=False)
    assert train.counts == {"frame numbers": 1, "missing frame": 1, "not listed": 1}
    assert test.counts == {"test rows": 1}


def test_what_is_missing_is_named(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"no TrackingNet split 'val'.*found TEST, TRAIN_2, TRAIN_10"
    ):
        read_trackingnet(tree, "val", progress=False)
    (tree / "TRAIN_2/anno/-b_0.txt").write_text("1,2,3\n")
    with pytest.raises(DataError, match=r"TRAIN_2/anno/-b_0\.txt:1: 3 numbers"):
        read_trackingnet(tree, "train", progress=False)
    write_lines(tree / "TRAIN_2/anno/-b_0.txt", ["1,2,3,4"] * 14)  # frames 12 and 13 are not there
    index = read_trackingnet(tree, "TRAIN_2", progress=False)
    assert index.file_name(13) == "13.jpg"
    assert index.present.tolist() == [True] * 12 + [False] * 2


def test_a_link_out_of_the_set_is_refused(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (tree / "TRAIN_2/anno/d_0.txt").write_text("1,2,3,4\n")
    assert not read_trackingnet(tree, "TRAIN_2", progress=False).present.all()
    (tree / "TRAIN_2/frames/d_0").symlink_to(outside)
    with pytest.raises(DataError, match="leads out of the data set"):
        read_trackingnet(tree, "TRAIN_2", progress=False)
