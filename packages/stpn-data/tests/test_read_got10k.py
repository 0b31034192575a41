"""GOT-10k: what is read, what is refused, what is counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from target_trees import box_lines, got10k_sequence, got10k_split, write_lines

from stpn_data import open_dataset
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.index import ABSENT, VideoIndex
from stpn_data.layouts import find_layout
from stpn_data.readers import read_got10k


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path_factory.mktemp("cache")))


def hidden(index: VideoIndex, video: int = 0) -> list[bool]:
    """Of each frame: no row, or one of a target that is not to be seen."""
    boxes = (index.boxes_of(frame) for frame in index.frames_of(video))
    return [not len(b.flags) or bool(b.flags[0] & ABSENT) for b in boxes]


def test_a_sequence_is_a_video_with_one_track(tmp_path: Path) -> None:
    got10k_split(tmp_path / "train", ["GOT-10k_Train_000002", "GOT-10k_Train_000001"])
    got10k_sequence(tmp_path / "train/GOT-10k_Train_000001", label="goat")
    index = read_got10k(tmp_path, "train", progress=False)
    assert index.video_names == ("GOT-10k_Train_000002", "GOT-10k_Train_000001")  # of the list
    assert index.classes == ("bird", "goat")
    assert index.labels.tolist() == [0] * 4 + [1] * 4
    assert index.boxes[1].tolist() == [6.5, 8, 36.5, 28]
    assert index.boxes.dtype == np.float32
    assert set(index.tracks.tolist()) == {0}
    assert np.diff(index.box_start).tolist() == [1] * 8
    assert index.sizes.tolist() == [[64, 48]] * 8
    assert index.keys.tolist() == list(range(8))
    assert index.frame_name(2) == "GOT-10k_Train_000002/00000003"
    assert index.frame_path(7).is_file()
    assert index.notes == ()


def test_what_is_not_to_be_seen_is_marked_and_no_key(tmp_path: Path) -> None:
    boxes = ["5,8,30,20"] * 4 + ["5,8,0,20", "nan,nan,nan,nan"]
    got10k_split(
        tmp_path / "val",
        ["GOT-10k_Val_000001"],
        count=6,
        boxes=boxes,
        absence=[0, 1, 0, 0, 0, 0],
        cover=[8, 8, 0, 1, 8, 8],
    )
    index = read_got10k(tmp_path, "val", progress=False)
    assert hidden(index) == [False, True, True, False, True, True]
    assert index.annotated.all()
    assert len(index.boxes) == 5  # what is no box has no row
    assert np.isfinite(index.boxes).all()
    assert index.keys.tolist() == [0, 3]
    assert any("1 × box without area" in note for note in index.notes)
    assert any("1 × box not finite" in note and "groundtruth.txt:6" in note for note in index.notes)
    assert "in 3 of 6 annotated frames the target is not to be seen" in index.notes


def test_a_cover_file_of_zeros_hides_the_whole_sequence_and_is_counted(tmp_path: Path) -> None:
    names = ["GOT-10k_Train_000001", "GOT-10k_Train_000002"]
    got10k_split(tmp_path / "train", names)
    write_lines(tmp_path / "train" / names[1] / "cover.label", [0] * 4)
    index = read_got10k(tmp_path, "train", progress=False)
    assert hidden(index, 0) == [False] * 4
    assert hidden(index, 1) == [True] * 4
    assert index.keys.tolist() == [0, 1, 2, 3]
    assert any(note.startswith("1 × all covered") for note in index.notes)
    assert any("in 1 sequences it never is" in note for note in index.notes)


def test_a_test_sequence_has_its_first_box_alone(tmp_path: Path) -> None:
    folder = got10k_sequence(tmp_path / "test/GOT-10k_Test_000001", boxes=box_lines(1))
    for name in ("absence", "cover", "cut_by_image"):
        (folder / f"{name}.label").unlink()
    write_lines(tmp_path / "test/list.txt", ["GOT-10k_Test_000001"])
    index = read_got10k(tmp_path, "test", progress=False)
    assert index.annotated.tolist() == [True, False, False, False]
    assert np.diff(index.box_start).tolist() == [1, 0, 0, 0]
    assert index.keys.tolist() == [0]
    assert index.notes == ()
    # the same files in train lack labels and boxes
    shutil.move(tmp_path / "test", tmp_path / "train")
    notes = read_got10k(tmp_path, "train", progress=False).notes
    assert [note.split(",")[0] for note in notes] == ["3 × no label file", "1 × rows and images"]


@pytest.mark.parametrize(
    ("images", "files", "present"),
    [
        (["00000001", "00000002", "00000004"], "1 2 3 4", [1, 1, 0, 1]),  # by number
        (["00000001", "00000002", "00000004", "00000005"], "1 2 4 5", [1, 1, 1, 1]),  # in order
        (["00000000", "00000001", "00000002", "00000003"], "0 1 2 3", [1, 1, 1, 1]),
        ([f"{t:08d}" for t in range(1, 6)], "1 2 3 4 5", [1, 1, 1, 1, 1]),  # one without a row
        ([], "1 2 3 4", [0, 0, 0, 0]),
    ],
)
def test_frames_and_rows(tmp_path: Path, images: list[str], files: str, present: list[int]) -> None:
    folder = got10k_sequence(tmp_path / "val/GOT-10k_Val_000001", images=0)
    got10k_split(tmp_path / "val", [])
    write_lines(tmp_path / "val/list.txt", ["GOT-10k_Val_000001"])
    for name in images:
        (folder / f"{name}.jpg").touch()
    index = read_got10k(tmp_path, "val", progress=False)
    names = [index.file_name(frame) for frame in range(index.num_frames)]
    assert names == [f"{int(number):08d}.jpg" for number in files.split()]
    assert index.present.tolist() == [bool(value) for value in present]
    assert index.annotated.tolist() == [True] * 4 + [False] * (len(names) - 4)
    odd = any("frame numbers" in note for note in index.notes)
    assert odd == (images != [f"{t + 1:08d}" for t in range(len(images))])
    assert any("rows and images" in note for note in index.notes) == (len(images) > 4)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("groundtruth.txt", "1,2,3\n", r"groundtruth\.txt:1: 3 numbers, expected x,y,width,height"),
        ("groundtruth.txt", "1,2,3,4\n\n1,2,3,4\n", r"groundtruth\.txt:2: 0 numbers"),
        ("groundtruth.txt", "1,2,3,x\n", r"groundtruth\.txt:1: could not convert"),
        ("groundtruth.txt", "\n", r"groundtruth\.txt: holds no box"),
        ("groundtruth.txt", None, r"groundtruth\.txt: no such file"),
        (
            "cover.label",
            "8\n8\n9\n8\n",
            r"cover\.label:3: '9', expected a whole number from 0 to 8",
        ),
        ("absence.label", "0\n0\n0\n0.5\n", r"absence\.label:4: '0\.5'"),
        ("absence.label", "0\n0\n0\n", r"absence\.label: 3 labels, but 4 boxes beside it"),
        ("cover.label", "8\n" * 5, r"cover\.label: 5 labels, but 4 boxes"),
    ],
)
def test_damaged_files_are_refused_by_place(
    tmp_path: Path, file: str, content: str | None, message: str
) -> None:
    names = ["GOT-10k_Train_000001", "GOT-10k_Train_000002"]
    got10k_split(tmp_path / "train", names)
    assert read_got10k(tmp_path, "train", progress=False).num_videos == 2
    path = tmp_path / "train" / names[1] / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=f"GOT-10k_Train_000002/{message}"):
        read_got10k(tmp_path, "train", progress=False)
    found: list[Defect] = []
    index = read_got10k(tmp_path, "train", on_defect=found.append, progress=False)
    assert len(found) == 1
    assert index.num_videos == (1 if file == "groundtruth.txt" else 2)


def test_labels_that_end_early_hide_the_rest(tmp_path: Path) -> None:
    got10k_split(tmp_path / "train", ["GOT-10k_Train_000001"], cover=[8, 8, 8])
    index = read_got10k(tmp_path, "train", on_defect=lambda _: None, progress=False)
    assert hidden(index) == [False, False, False, True]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("GOT-10k_Train_000009", r"list\.txt:2: there is no folder GOT-10k_Train_000009"),
        ("GOT-10k_Train_000001", r"list\.txt:2: GOT-10k_Train_000001 is named twice"),
        ("../outside", r"list\.txt:2: '\.\./outside' is no name of a folder beside it"),
        ("..", r"list\.txt:2: refusing the path '\.\.'"),
    ],
)
def test_lists_are_checked(tmp_path: Path, line: str, message: str) -> None:
    got10k_sequence(tmp_path / "outside")
    folder = got10k_split(tmp_path / "train", ["GOT-10k_Train_000001"])
    assert read_got10k(tmp_path, "train", progress=False).num_videos == 1
    write_lines(folder / "list.txt", ["GOT-10k_Train_000001", line])
    with pytest.raises(DataError, match=message):
        read_got10k(tmp_path, "train", progress=False)


def test_a_link_out_of_the_split_is_refused(tmp_path: Path) -> None:
    got10k_sequence(tmp_path / "outside")
    folder = got10k_split(tmp_path / "set/train", ["GOT-10k_Train_000001"])
    write_lines(folder / "list.txt", ["GOT-10k_Train_000001", "GOT-10k_Train_000002"])
    (folder / "GOT-10k_Train_000002").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="leads out of the data set"):
        read_got10k(tmp_path / "set", "train", progress=False)


def test_meta_information_may_be_odd(tmp_path: Path) -> None:
    folder = got10k_split(tmp_path / "train", ["GOT-10k_Train_000001"])
    meta = folder / "GOT-10k_Train_000001/meta_info.ini"
    meta.write_text("[METAINFO]\nresolution: 64x48\n")
    index = read_got10k(tmp_path, "train", progress=False)
    assert index.classes == ("object",)
    assert index.sizes[0].tolist() == [64, 48]  # of the first image
    assert any(note.startswith("2 × meta") for note in index.notes)
    meta.unlink()
    assert read_got10k(tmp_path, "train", progress=False).classes == ("object",)


def test_splits_are_the_official_ones(tmp_path: Path) -> None:
    got10k_split(tmp_path / "train", [f"GOT-10k_Train_{n:06d}" for n in range(1, 11)])
    got10k_split(tmp_path / "val", ["GOT-10k_Val_000001"])
    assert find_layout(tmp_path, "train").format == "got10k"
    assert find_layout(tmp_path / "val", "val").format == "got10k"
    assert open_dataset(tmp_path / "val", "val").num_videos == 1
    part, rest = (open_dataset(tmp_path, f"train[{s}]") for s in (":90%", "90%:"))
    assert (part.num_videos, rest.num_videos) == (9, 1)
    assert not {*part.video_names} & {*rest.video_names}
    for split in ("vottrain", "votval", "got10k_train_full"):
        with pytest.raises(DataError, match=r"cannot be made from the data\. .*train\[:90%\]"):
            open_dataset(tmp_path, split)
    with pytest.raises(DataError, match="no GOT-10k split 'test', only train, val"):
        open_dataset(tmp_path, "test")
    with pytest.raises(DataError, match="no GOT-10k split 'train'"):
        open_dataset(tmp_path / "val", "train", format="got10k")


@pytest.mark.parametrize("lines", [["3", "0"], ["GOT-10k_Train_000004", "GOT-10k_Train_000001"]])
def test_a_list_beside_the_splits_makes_a_part_of_train(tmp_path: Path, lines: list[str]) -> None:
    folder = got10k_split(tmp_path / "train", [f"GOT-10k_Train_{n:06d}" for n in range(1, 6)])
    write_lines(tmp_path / "vottrain.txt", lines)
    index = open_dataset(tmp_path, "vottrain")
    assert index.video_names == ("GOT-10k_Train_000004", "GOT-10k_Train_000001")
    assert index.folders[0] == str(folder / "GOT-10k_Train_000004")
    write_lines(tmp_path / "vottrain.txt", [*lines, "1"])  # the stored index is out of date
    assert open_dataset(tmp_path, "vottrain").num_videos == 3
    assert open_dataset(tmp_path, "vottrain[:60%]").num_videos == 2
    write_lines(tmp_path / "vottrain.txt", [*lines, "5"])
    with pytest.raises(DataError, match=r"vottrain\.txt:3: number 5, but .*list\.txt has 5 lines"):
        open_dataset(tmp_path, "vottrain")


def test_without_a_list_all_folders_are_taken(tmp_path: Path) -> None:
    folder = got10k_split(tmp_path / "train", ["b10", "b9"])
    (folder / "list.txt").unlink()
    index = open_dataset(tmp_path, "train")
    assert index.video_names == ("b9", "b10")
    assert any(note.startswith("1 × no list") for note in index.notes)


def test_classes_of_a_file_number_all_splits(tmp_path: Path) -> None:
    got10k_split(tmp_path / "train", ["a"], label="goat")
    write_lines(tmp_path / "classes.txt", ["ant", "goat"])
    index = read_got10k(tmp_path, "train", progress=False)
    assert (index.classes, set(index.labels.tolist())) == (("ant", "goat"), {1})
    with pytest.raises(DataError, match="class 'goat' is not among the classes"):
        read_got10k(tmp_path, "train", classes=["ant"], progress=False)


def test_a_changed_label_is_seen(tmp_path: Path) -> None:
    folder = got10k_split(tmp_path / "train", ["a"])
    assert hidden(open_dataset(tmp_path, "train")) == [False] * 4
    write_lines(folder / "a/absence.label", [0, 0, 0, 1])
    assert hidden(open_dataset(tmp_path, "train")) == [False, False, False, True]


def test_visible_is_what_the_evaluator_keeps(shared: Path, tmp_path: Path) -> None:
    """The tree that the released evaluator was run on, without its images, row by row."""
    from safetensors.numpy import load_file

    tensors = load_file(shared / "golden/vot/got10k_eval.safetensors")
    tree = json.loads((shared / "golden/vot/got10k_tree.json").read_text())
    for name, content in tree["files"].items():
        if name.startswith("data/"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    index = read_got10k(tmp_path / "data", "val", progress=False)
    assert index.video_names == tuple(f"GOT-10k_Val_{n:06d}" for n in range(1, 6))
    assert index.classes == ("thing0", "thing1", "thing2")
    assert not index.present.any()
    for video, name in enumerate(index.video_names):
        frames = index.frames_of(video)
        rows = slice(index.box_start[frames.start], index.box_start[frames.stop])
        truth = tensors[f"in.{name}.groundtruth"]
        corners = np.concatenate([truth[:, :2], truth[:, :2] + truth[:, 2:]], axis=1)
        assert np.array_equal(index.boxes[rows], corners.astype(np.float32))
        kept = tensors[f"in.{name}.cover"] > 0
        assert hidden(index, video) == (~kept).tolist()
    assert index.sizes[index.video_start[1]].tolist() == [640, 360]


def test_real_videos(shared: Path) -> None:
    train, val = (read_got10k(shared / "data/got10k", s, progress=False) for s in ("train", "val"))
    assert (train.num_videos, train.num_frames, len(train.keys)) == (7, 423, 423)
    assert (val.num_videos, val.num_frames, len(val.keys)) == (2, 180, 180)
    assert train.classes == ("animal", "motorbike", "person")
    assert val.classes == ("car", "person")
    assert not train.flags.any()
    assert train.present.all()
    assert train.notes == val.notes == ()
    x, y, w, h = (float(side) for side in ["100.9091", "89.1528", "22.7273", "91.8819"])
    assert np.allclose(train.boxes[0], [x, y, x + w, y + h], atol=1e-4)
    assert train.sizes[0].tolist() == [320, 262]
