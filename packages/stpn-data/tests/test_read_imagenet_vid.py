from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from vid_tree import (
    opened_paths,
    vid_tree,
    write_image,
    write_lists,
    write_video,
    write_xml,
    xml_object,
)

from stpn_data.classes import VID_NAMES
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.image import decode_image
from stpn_data.index import GENERATED, OCCLUDED, VideoIndex
from stpn_data.readers.imagenet_vid import read_imagenet_vid


def numbers(index: VideoIndex, video: int = 0) -> list[int]:
    return [int(index.file_name(i).split(".")[0]) for i in index.frames_of(video)]


def assert_nothing_is_shifted(index: VideoIndex) -> None:
    """Name, picture and box of every frame tell the same number."""
    for frame in range(index.num_frames):
        number = int(index.file_name(frame).split(".")[0])
        if index.annotated[frame]:
            assert index.boxes_of(frame).boxes[0, 0] == number
        assert index.frame_path(frame).is_file() == index.present[frame]
        if index.present[frame]:
            assert abs(int(decode_image(index.frame_path(frame))[0, 0, 0]) - number) <= 1


@pytest.mark.parametrize("inner", ["", "ILSVRC", "ILSVRC2015"])
@pytest.mark.parametrize("lists", ["ImageSets/VID", "Lists"])
def test_train_and_val(inner: str, lists: str, tmp_path: Path) -> None:
    base = vid_tree(tmp_path / inner)
    (base / "ImageSets/VID").rename(base / "moved")
    (base / "ImageSets").rmdir()
    (base / lists).parent.mkdir(exist_ok=True)
    (base / "moved").rename(base / lists)
    train = read_imagenet_vid(tmp_path, "train")
    assert train.classes == VID_NAMES
    assert train.video_names == ("train/s/a", "train/s/b")
    assert (train.num_frames, train.keys.tolist()) == (9, [0, 2, 4, 5, 7])
    assert train.sizes.tolist() == [[64, 48]] * 9
    assert set(train.labels.tolist()) == {VID_NAMES.index("dog")}
    assert train.notes == ()
    val = read_imagenet_vid(tmp_path, "val")
    assert (val.num_frames, val.video_names) == (6, ("val/c",))
    assert val.frame_name(5) == "val/c/000005"
    assert len(val.keys) == 6
    assert_nothing_is_shifted(train)
    assert_nothing_is_shifted(val)


def test_frame_numbers_of_the_list_count_from_zero(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    own = read_imagenet_vid(tmp_path, "train")
    assert [own.file_name(k) for k in own.keys[:3]] == ["000000.JPEG", "000002.JPEG", "000004.JPEG"]
    shifted = read_imagenet_vid(tmp_path, "train", mmtracking_offbyone=True)
    assert shifted.keys.tolist() == [1, 3, 6]  # the entries that were 0 are gone


def test_val_without_the_frame_list_and_without_any(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    wanted = read_imagenet_vid(tmp_path, "val")
    for name in ("VID_val_frames", "VID_val_videos"):
        (tmp_path / f"ImageSets/VID/{name}.txt").unlink()
        found = read_imagenet_vid(tmp_path, "val")
        assert found.video_names == wanted.video_names
        assert [found.frame_name(i) for i in range(6)] == [wanted.frame_name(i) for i in range(6)]
    (tmp_path / "ImageSets/VID/VID_train_15frames.txt").unlink()
    train = read_imagenet_vid(tmp_path, "train", keys_per_video=2)
    assert train.video_names == ("train/s/a", "train/s/b")
    assert train.keys.tolist() == [0, 2, 5, 7]


@pytest.mark.parametrize("gone", [[0], [2], [4], [1, 2]])
@pytest.mark.parametrize("also_xml", [False, True])
@pytest.mark.parametrize("split", ["train", "val"])
def test_missing_frames_leave_a_gap(
    gone: list[int], also_xml: bool, split: str, tmp_path: Path
) -> None:
    vid_tree(tmp_path, {f"{split}/a": 5})
    for i in gone:
        (tmp_path / f"Data/VID/{split}/a/{i:06d}.JPEG").unlink()
        if also_xml:
            (tmp_path / f"Annotations/VID/{split}/a/{i:06d}.xml").unlink()
    index = read_imagenet_vid(tmp_path, split)
    assert numbers(index) == [0, 1, 2, 3, 4]
    assert np.flatnonzero(~index.present).tolist() == gone
    assert_nothing_is_shifted(index)
    assert f"{len(gone)} of 5 frames have no image file" in index.notes[0]
    wanted = [0, 2, 4] if split == "train" else [0, 1, 2, 3, 4]
    assert index.keys.tolist() == [key for key in wanted if key not in gone]


def test_gaps_and_extra_files_shift_nothing(tmp_path: Path) -> None:
    vid_tree(tmp_path, {"train/a": 5, "val/b": 3})
    for split, video in (("train", "a"), ("val", "b")):
        write_image(tmp_path / f"Data/VID/{split}/{video}/000009.JPEG", 9)
        (tmp_path / f"Data/VID/{split}/{video}/thumbs.jpg").write_bytes(b"x")
        (tmp_path / f"Data/VID/{split}/{video}/.hidden.JPEG").write_bytes(b"x")
    train = read_imagenet_vid(tmp_path, "train")
    assert numbers(train) == [0, 1, 2, 3, 4, 9]  # may serve as support
    assert train.annotated.tolist() == [True] * 5 + [False]
    assert_nothing_is_shifted(train)
    assert numbers(read_imagenet_vid(tmp_path, "val")) == [0, 1, 2]  # only what the list names


def test_what_is_kept_of_an_object(tmp_path: Path) -> None:
    write_image(tmp_path / "Data/VID/train/a/000000.JPEG")
    objects = [
        xml_object("n02691156", (1, 2, 30, 40), 7, (1, 0)),
        xml_object("n02391049", (-5, 2, 900, 40), 8, (0, 1)),
        xml_object("n02391049", (9, 9, 9, 20), 9),
    ]
    write_xml(tmp_path / "Annotations/VID/train/a/000000.xml", objects)
    index = read_imagenet_vid(tmp_path, "train")
    found = index.boxes_of(0)
    assert found.boxes.tolist() == [[1, 2, 30, 40], [-5, 2, 900, 40], [9, 9, 9, 20]]  # as annotated
    assert found.labels.tolist() == [0, 29, 29]
    assert found.tracks.tolist() == [7, 8, 9]
    assert found.flags.tolist() == [OCCLUDED, GENERATED, 0]
    assert index.notes == (
        "1 boxes reach out of their frame (clipped in training), 1 have no area inside (dropped in "
        "training)",
    )


def test_frames_without_a_usable_box_are_no_key_frames(tmp_path: Path) -> None:
    vid_tree(tmp_path, {"train/a": 6})
    xml = tmp_path / "Annotations/VID/train/a"
    write_xml(xml / "000000.xml", [])
    write_xml(xml / "000002.xml", [xml_object("n02084071", (100, 0, 120, 9))])
    index = read_imagenet_vid(tmp_path, "train")
    assert index.keys.tolist() == [4]
    assert (
        "2 of 3 key frames are left out: 0 without an image, 2 without a usable" in index.notes[-1]
    )
    shutil.rmtree(tmp_path)
    write_image(tmp_path / "Data/VID/train/a/000000.JPEG", 0, (64, 31))
    write_xml(
        tmp_path / "Annotations/VID/train/a/000000.xml",
        [xml_object("n02084071", (0, 0, 9, 9))],
        (64, 31),
    )
    assert len(read_imagenet_vid(tmp_path, "train").keys) == 0


def test_own_classes_are_numbered_alike_in_every_split(tmp_path: Path) -> None:
    write_video(tmp_path, "train/a", 2, "zebrafish")
    write_video(tmp_path, "val/b", 2, "person")
    for split in ("train", "val"):
        assert read_imagenet_vid(tmp_path, split).classes == ("person", "zebrafish")
    assert read_imagenet_vid(tmp_path, "val").labels.tolist() == [0, 0]
    (tmp_path / "classes.txt").write_text("zebrafish\nperson\n\ncar\n")
    index = read_imagenet_vid(tmp_path, "val")
    assert index.classes == ("zebrafish", "person", "car")
    assert index.labels.tolist() == [1, 1]
    given = read_imagenet_vid(tmp_path, "val", classes=["person"])
    assert given.classes == ("person",)
    with pytest.raises(DataError, match=r"train/a/000000: class 'zebrafish' .* 1 classes given"):
        read_imagenet_vid(tmp_path, "train", classes=["person"])


def test_own_classes_beside_wordnet_ids_need_a_list(tmp_path: Path) -> None:
    write_video(tmp_path, "train/a", 2, "zebrafish")
    write_video(tmp_path, "train/b", 2, "n02084071")
    with pytest.raises(DataError, match=r"class 'zebrafish' .* list all classes in .*classes\.txt"):
        read_imagenet_vid(tmp_path, "train")
    index = read_imagenet_vid(tmp_path, "train", classes=["dog", "zebrafish"])
    assert index.labels.tolist() == [1, 1, 0, 0]


def test_a_damaged_annotation_is_named_and_the_rest_can_be_read(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    (tmp_path / "Annotations/VID/train/s/a/000003.xml").write_text("<annotation>")
    with pytest.raises(DataError, match=r"s/a/000003\.xml: not readable as XML"):
        read_imagenet_vid(tmp_path, "train")
    defects: list[Defect] = []
    index = read_imagenet_vid(tmp_path, "train", on_defect=defects.append)
    assert [defect.kind for defect in defects] == ["annotation"]
    assert index.annotated.tolist() == [True] * 3 + [False] + [True] * 5
    assert_nothing_is_shifted(index)


def test_a_frame_in_two_files_is_a_defect(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    write_image(tmp_path / "Data/VID/train/s/a/000003.png")
    with pytest.raises(DataError, match=r"the same frame as 000003\.JPEG"):
        read_imagenet_vid(tmp_path, "train")


def test_contradictory_lists_are_defects(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    path = tmp_path / "ImageSets/VID/VID_train_15frames.txt"
    for line in ("train/s/a 1 5 5", "train/s/a 1 0 6", f"train/s/x 1 0 {10**8}"):
        path.write_text(f"train/s/a 1 0 5\n{line}\n")
        with pytest.raises(DataError, match=r"15frames\.txt:2: "):
            read_imagenet_vid(tmp_path, "train")


HOSTILE = ["/etc", "../outside", "train/../../outside", "train/s/link", "~", "a\\b"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("split", ["train", "val"])
def test_no_list_leads_out_of_the_root(name: str, split: str, tmp_path: Path) -> None:
    root, outside = vid_tree(tmp_path / "root"), tmp_path / "outside"
    write_video(outside, "x", 2)
    for part in ("Data", "Annotations"):
        (root / part / "VID/train/s/link").symlink_to(outside / part / "VID/x")
    lists = root / "ImageSets/VID"
    (lists / "VID_train_15frames.txt").write_text(f"{name} 1 0 2\n")
    (lists / "VID_val_frames.txt").write_text(f"{name}/000000 1\n")
    with opened_paths() as opened, pytest.raises(DataError, match=r"refusing the path|leads out"):
        read_imagenet_vid(root, split)
    assert [path for path in opened if path.startswith(str(root))]
    assert not [path for path in opened if path.startswith((str(outside), "/etc"))]
    defects: list[Defect] = []
    with opened_paths() as opened, pytest.raises(DataError):
        # nothing but hostile entries: nothing is left to read
        read_imagenet_vid(root, split, on_defect=defects.append)
    assert len(defects) == 1
    assert not [path for path in opened if path.startswith((str(outside), "/etc"))]


def test_the_watch_would_have_seen_it(tmp_path: Path) -> None:
    """Control: without the check the same link is followed."""
    write_video(tmp_path / "outside", "train/x", 2)
    (tmp_path / "root").symlink_to(tmp_path / "outside")  # as the root itself a link is fine
    with opened_paths() as opened:
        read_imagenet_vid(tmp_path / "root", "train")
    assert [path for path in opened if path.startswith(str(tmp_path / "outside"))]


def test_nothing_there_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ImageNet VID here; looked for Data/VID"):
        read_imagenet_vid(tmp_path)
    write_video(tmp_path, "train/a", 1)
    with pytest.raises(DataError, match=r"no videos in Data/VID/val .*splits found: train"):
        read_imagenet_vid(tmp_path, "val")


def test_annotations_alone_can_be_read(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    shutil.rmtree(tmp_path / "Data")
    index = read_imagenet_vid(tmp_path, "train")
    assert not index.present.any()
    assert len(index.boxes) == 9
    assert len(index.keys) == 0


def test_order_does_not_depend_on_the_file_system(tmp_path: Path) -> None:
    vid_tree(tmp_path, {"train/b": 3, "train/a": 12})
    first = read_imagenet_vid(tmp_path, "train")
    assert first.video_names == ("train/b", "train/a")  # the order of the list
    write_lists(tmp_path, {})
    assert os.listdir(tmp_path / "ImageSets/VID")
    for path in (tmp_path / "ImageSets/VID").iterdir():
        path.unlink()
    assert read_imagenet_vid(tmp_path, "train").video_names == ("train/a", "train/b")
    assert numbers(first, 1) == list(range(12))


def test_real_data(shared: Path) -> None:
    index = read_imagenet_vid(shared / "data/vid_wnid", "train")
    assert (index.num_videos, index.num_frames, len(index.boxes), len(index.keys)) == (
        2,
        90,
        90,
        30,
    )
    assert {index.classes[label] for label in index.labels} == {"cattle", "car"}
    assert index.notes == ()
    own = read_imagenet_vid(shared / "data/vid_own_classes", "val")
    assert own.classes == ("animal", "person")
    assert (own.num_frames, len(own.boxes), set(own.labels.tolist())) == (40, 80, {1})
