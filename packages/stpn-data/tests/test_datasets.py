from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from vid_tree import vid_tree, write_image, write_xml, xml_object
from video_files import make_video

import stpn_data
from stpn_data import datasets
from stpn_data.datasets import open_dataset
from stpn_data.errors import DataError
from stpn_data.layouts import Layout, find_layout


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("STPN_CACHE", str(folder))
    return folder


def test_layouts_are_told_apart(tmp_path: Path) -> None:
    vid = vid_tree(tmp_path / "vid/ILSVRC2015")
    write_xml(tmp_path / "det/Annotations/DET/train/a.xml")
    frames = tmp_path / "frames/walk"
    write_image(frames / "0.jpg")
    shutil.copytree(frames, tmp_path / "own/train/walk")
    shutil.copytree(frames, tmp_path / "flat/walk")
    (tmp_path / "flat/walk.csv").write_text("frame,x1,y1,x2,y2,label\n0,1,1,9,9,a\n")
    shutil.copytree(frames, tmp_path / "coco/train/walk")
    (tmp_path / "coco/train.json").write_text("{}")
    (tmp_path / "mmt/annotations").mkdir(parents=True)
    (tmp_path / "mmt/annotations/imagenet_vid_train.json").write_text("{}")
    for path, wanted in (
        (tmp_path / "vid", "imagenet_vid"),
        (vid, "imagenet_vid"),
        (tmp_path / "det", "imagenet_det"),
        (tmp_path / "frames", "frames"),
        (frames, "frames"),
        (tmp_path / "own", "own"),
        (tmp_path / "flat", "own"),
        (tmp_path / "coco", "own"),
        (tmp_path / "mmt", "coco_vid"),
        (tmp_path / "coco/train.json", "coco_vid"),
    ):
        assert find_layout(path, "train").format == wanted, path


def test_what_is_no_data_set_is_told_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"Looked for Data/VID .*folder train/ or file train\.json"):
        open_dataset(tmp_path, "train")
    with pytest.raises(DataError, match="no such file or folder"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DataError, match=r"a data set is a folder or a \.json file"):
        open_dataset(tmp_path / "notes.txt")
    with pytest.raises(DataError, match="no ImageNet VID here"):
        open_dataset(tmp_path, format="imagenet_vid")
    with pytest.raises(DataError, match="unknown format 'coco'"):
        open_dataset(tmp_path, format="coco")  # type: ignore[arg-type]


@pytest.mark.parametrize("images", ["", "Data/VID"])
def test_where_the_images_of_a_json_file_lie(images: str, tmp_path: Path) -> None:
    write_image(tmp_path / images / "train/v/0.jpg")
    (tmp_path / "annotations").mkdir()
    content = {
        "categories": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "file_name": "train/v/0.jpg"}],
        "annotations": [],
    }
    path = tmp_path / "annotations/imagenet_vid_train.json"
    path.write_text(json.dumps(content))
    for given in (path, tmp_path):
        index = open_dataset(given, "train", format="coco_vid", cache=False)
        assert index.present.tolist() == [True]
    assert find_layout(path, "train") == Layout("coco_vid", path, tmp_path / images)


def test_the_second_time_nothing_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vid_tree(tmp_path)
    first = open_dataset(tmp_path, "train")
    monkeypatch.setattr(datasets, "read_layout", None)
    second = open_dataset(tmp_path, "train")
    assert np.array_equal(first.boxes, second.boxes)
    assert first.folders == second.folders
    for other in ({"split": "val"}, {"classes": ["dog"]}, {"mmtracking_offbyone": True}):
        with pytest.raises(TypeError):  # another question: it would have been read
            open_dataset(tmp_path, **other)
    with pytest.raises(TypeError):
        open_dataset(tmp_path, "train", cache=False)


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    vid_tree(tmp_path)
    assert open_dataset(tmp_path, "train").boxes_of(0).boxes[0, 0] == 0
    path = tmp_path / "Annotations/VID/train/s/a/000000.xml"
    write_xml(path, [xml_object("n02084071", (7, 5, 27, 30))])
    assert open_dataset(tmp_path, "train").boxes_of(0).boxes[0, 0] == 7
    (tmp_path / "Data/VID/train/s/a/000000.JPEG").unlink()
    assert not open_dataset(tmp_path, "train").present[0]
    (tmp_path / "ImageSets/VID/VID_train_15frames.txt").write_text("train/s/b 1 1 4\n")
    assert open_dataset(tmp_path, "train").video_names == ("train/s/b",)


def test_cleared_frames_are_decoded_again(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "train").mkdir()
    make_video(tmp_path / "train/a.mp4", 3)
    (tmp_path / "train/a.csv").write_text("frame,x1,y1,x2,y2,label\n0,1,1,9,9,a\n")
    index = open_dataset(tmp_path, "train")
    assert index.frame_path(0).is_file()
    shutil.rmtree(cache / "frames")
    assert open_dataset(tmp_path, "train").frame_path(2).is_file()


def test_every_real_data_set_opens(shared: Path) -> None:
    for name, split, frames in (
        ("vid_wnid", "train", 90),
        ("vid_wnid", "val", 80),
        ("vid_own_classes", "train", 160),
        ("vid_own_classes", "val", 40),
        ("got10k", "train", 423),
        ("got10k", "val", 180),
        ("frames", "train", 144),
    ):
        index = stpn_data.open_dataset(shared / "data" / name, split)
        assert index.num_frames == frames
        assert index.present.all()
