from __future__ import annotations

from pathlib import Path

import pytest
from target_trees import lasot_sequence, write_lines

from stpn_data import open_dataset
from stpn_data.check import check_dataset
from stpn_data.errors import DataError
from stpn_data.index import ABSENT
from stpn_data.layouts import find_layout
from stpn_data.readers import read_lasot


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    lasot_sequence(tmp_path / "airplane/airplane-10")
    lasot_sequence(tmp_path / "airplane/airplane-2", 4, occluded="0,1,0,0", out="0,0,0,1")
    lasot_sequence(tmp_path / "rubicCube/rubicCube-1")
    return tmp_path


def test_sequences_of_all_classes(tree: Path) -> None:
    index = read_lasot(tree, "all", progress=False)
    assert index.video_names == ("airplane-2", "airplane-10", "rubicCube-1")
    assert index.classes == ("airplane", "rubicCube")
    assert index.labels.tolist() == [0] * 7 + [1] * 3
    assert (index.flags & ABSENT > 0).tolist() == [False, True, False, True] + [False] * 6
    assert index.keys.tolist() == [0, 2, 4, 5, 6, 7, 8, 9]
    assert index.boxes[0].tolist() == [1, 2, 31, 22]
    assert index.sizes[0].tolist() == [64, 48]
    assert index.frame_path(0) == tree / "airplane/airplane-2/img/00000001.jpg"
    assert index.present.all()
    assert set(index.tracks.tolist()) == {0}


def test_lists_make_the_splits(tree: Path) -> None:
    with pytest.raises(DataError, match=r"nothing says which sequences are 'train'.*'all'"):
        read_lasot(tree, "train", progress=False)
    write_lines(tree / "testing_set.txt", ["airplane-2"])
    assert read_lasot(tree, "test", progress=False).video_names == ("airplane-2",)
    assert read_lasot(tree, "train", progress=False).video_names == ("airplane-10", "rubicCube-1")
    write_lines(tree / "training_set.txt", ["rubicCube-1"])
    assert read_lasot(tree, "train", progress=False).video_names == ("rubicCube-1",)
    write_lines(tree / "testing_set.txt", ["airplane-2", "airplane-3"])
    with pytest.raises(DataError, match=r"testing_set\.txt:2: there is no folder of airplane-3"):
        read_lasot(tree, "test", progress=False)


def test_it_is_found_and_checked(tree: Path) -> None:
    assert find_layout(tree, "all").format == "lasot"
    assert find_layout(tree / "airplane", "all").format == "lasot"  # side by side
    assert open_dataset(tree / "airplane", "all", cache=False).num_videos == 2
    (audit,) = check_dataset(tree, progress=False)
    assert (audit.split, audit.counts) == ("all", {})
    write_lines(tree / "testing_set.txt", ["airplane-2"])
    write_lines(tree / "airplane/airplane-2/full_occlusion.txt", ["1,1,1,1"])
    write_lines(tree / "airplane/airplane-10/out_of_view.txt", ["1,0,0"])
    train, test = check_dataset(tree, progress=False)
    assert (train.split, train.counts) == ("train", {"first frame": 1})
    assert (test.split, test.counts) == ("test", {"never visible": 1})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("full_occlusion.txt", "0,1\n", r"full_occlusion\.txt: 2 labels, but 4 boxes"),
        ("out_of_view.txt", "0,1,2,0\n", r"out_of_view\.txt: value 3: '2', expected .* 0 to 1"),
        ("groundtruth.txt", "1 2 3\n", r"groundtruth\.txt:1: 3 numbers"),
    ],
)
def test_damaged_files_are_refused_by_place(
    tree: Path, file: str, content: str, message: str
) -> None:
    assert read_lasot(tree, "all", progress=False).num_videos == 3
    (tree / "airplane/airplane-2" / file).write_text(content)
    with pytest.raises(DataError, match=f"airplane-2/{message}"):
        read_lasot(tree, "all", progress=False)


def test_a_set_of_ones_own_may_lack_the_label_files(tree: Path) -> None:
    (tree / "airplane/airplane-2/full_occlusion.txt").unlink()
    index = read_lasot(tree, "all", progress=False)
    assert (index.flags[:4] & ABSENT > 0).tolist() == [False, False, False, True]
    assert any(note.startswith("1 × no label file") for note in index.notes)
