from __future__ import annotations

import json
import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco
from vis_tree import SIZE, content, rectangle, rectangle_mask, vis_tree

from stpn_data import open_dataset
from stpn_data.errors import DataError
from stpn_data.index import OCCLUDED, VideoIndex, concat
from stpn_data.masks import Masks, instances_of
from stpn_data.readers.youtube_vis import read_youtube_vis

A1 = 1  # frame 1 of video a


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path_factory.mktemp("cache")))


def same(a: VideoIndex, b: VideoIndex) -> bool:
    assert a.masks is not None
    assert b.masks is not None
    columns = [(a, b, f.name) for f in fields(VideoIndex) if f.name != "masks"]
    columns += [(a.masks, b.masks, f.name) for f in fields(Masks)]
    return all(np.array_equal(getattr(x, name), getattr(y, name)) for x, y, name in columns)


@pytest.mark.parametrize("form", ["uncompressed", "compressed", "polygon"])
def test_everything_is_where_it_belongs(tmp_path: Path, form: str) -> None:
    index = open_dataset(vis_tree(tmp_path, data=content(form)), "train")
    assert index.classes == ("owl", "fish")
    assert index.video_names == ("a", "b")
    assert (index.num_frames, len(index.boxes)) == (7, 8)
    assert index.frame_path(A1) == tmp_path / "train/JPEGImages/a/00005.png"
    assert index.present.all()
    assert index.annotated.all()
    assert index.keys.tolist() == list(range(7))  # b/00000 shows nothing, and is legal
    assert (index.sizes == SIZE).all()
    found = index.boxes_of(A1)
    assert found.tracks.tolist() == [2, 4]
    assert found.labels.tolist() == [0, 1]
    assert found.boxes.tolist() == [list(rectangle(2, 1)), list(rectangle(4, 1))]
    masks = index.masks_of(A1)
    assert masks.dtype == np.uint8
    assert np.array_equal(masks, [rectangle_mask(2, 1), rectangle_mask(4, 1)])
    assert index.masks_of(4).shape == (0, SIZE[1], SIZE[0])
    assert index.masks is not None
    assert index.masks.video_ids.tolist() == [20, 10]
    assert index.masks.category_ids.tolist() == [3, 7]


def test_what_an_evaluator_gets(tmp_path: Path) -> None:
    data = content("compressed")
    data["annotations"][1]["iscrowd"] = 1
    levels = ["no_occlusion", "slight_occlusion", "severe_occlusion", None]
    data["annotations"][1]["occlusion"] = levels
    data["annotations"][1]["areas"][2] = 77.5
    index = open_dataset(vis_tree(tmp_path, data=data))
    seen, partly, never = instances_of(index, 0)
    assert (seen.id, seen.label, seen.category_id, seen.crowd) == (2, 0, 3, True)
    assert (partly.id, partly.label, partly.category_id, partly.crowd) == (4, 1, 7, False)
    assert seen.size == (48, 64)
    assert seen.occlusions == levels
    assert seen.areas == [420, 420, 77.5, 420]
    assert partly.occlusions == [None] * 4
    assert partly.areas == [None, 465, 465, None]
    assert never.counts == [None] * 4
    assert partly.segmentations()[0] is None
    assert np.array_equal(coco.decode(partly.segmentations()[2]), rectangle_mask(4, 2))
    assert (index.boxes_of(1).flags & OCCLUDED).tolist() == [1, 0]
    (other,) = instances_of(index, 1)
    assert other.counts[0] is None
    assert other.id == 1


@pytest.mark.parametrize(
    ("json_name", "images", "split"),
    [
        ("valid.json", "valid/JPEGImages", "val"),
        ("val.json", "val/JPEGImages", "valid"),
        ("annotations/instances_val_sub.json", "val/JPEGImages", "valid"),
        ("annotations/instances_train_sub.json", "train/JPEGImages", "train"),
        ("train/instances.json", "train/JPEGImages", "train"),
        ("annotations_train.json", "train", "train"),
        ("annotations/annotations_valid.json", "valid", "val"),
        ("test.json", "JPEGImages", "test"),
    ],
)
def test_every_layout_is_found(tmp_path: Path, json_name: str, images: str, split: str) -> None:
    index = open_dataset(vis_tree(tmp_path, json_name, images), split)
    assert index.present.all()
    assert index.frame_path(0) == tmp_path / images / "a/00000.png"
    by_file = open_dataset(tmp_path / json_name, split)
    assert same(index, by_file)


def test_a_split_that_is_not_there_is_not_taken_for_something_else(tmp_path: Path) -> None:
    vis_tree(tmp_path)
    with pytest.raises(DataError, match="no YouTube-VIS file of 'test'; it has train"):
        open_dataset(tmp_path, "test")
    with pytest.raises(DataError, match="Looked for"):
        open_dataset(tmp_path / "train", "train", format="youtube_vis")


def test_boxes_in_json_are_still_boxes(tmp_path: Path) -> None:
    data = content()
    coco_style = {
        "categories": data["categories"],
        "images": [{"id": 1, "file_name": "a/00000.png", "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}],
    }
    index = open_dataset(vis_tree(tmp_path, images="train", data=coco_style))
    assert index.masks is None
    assert len(index.boxes) == 1
    with pytest.raises(DataError, match="boxes alone, no instance masks"):
        index.masks_of(0)


@pytest.mark.parametrize("absent", ["key", "null"])
def test_files_without_annotations_load(tmp_path: Path, absent: str) -> None:
    data = content()
    del data["annotations"]
    if absent == "null":
        data["annotations"] = None
    index = open_dataset(vis_tree(tmp_path, "valid.json", "valid/JPEGImages", data), "valid")
    assert index.num_videos == 2
    assert not index.annotated.any()
    assert len(index.boxes) == len(index.keys) == 0
    assert instances_of(index, 0) == []
    assert index.masks is not None
    assert index.masks.video_ids.tolist() == [20, 10]


def test_annotations_may_stand_before_the_videos(tmp_path: Path) -> None:
    data = content()
    turned = {key: data[key] for key in ("annotations", "categories", "videos")}
    plain = read_youtube_vis(vis_tree(tmp_path / "x", data=data))
    other = read_youtube_vis(
        vis_tree(tmp_path / "y", data=turned) / "train.json", images=tmp_path / "x/train/JPEGImages"
    )
    assert np.array_equal(plain.boxes, other.boxes)
    assert len(other.boxes) == 8


def test_the_stored_index_is_the_same(tmp_path: Path) -> None:
    vis_tree(tmp_path)
    first, again = open_dataset(tmp_path), open_dataset(tmp_path)
    assert first is not again
    assert same(first, again)
    assert same(first, pickle.loads(pickle.dumps(first)))
    (tmp_path / "train.json").write_text(json.dumps(content() | {"annotations": []}))
    assert len(open_dataset(tmp_path).boxes) == 0


def test_an_index_without_its_frames_is_stored_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.json").write_text(json.dumps(content()))
    first = open_dataset(tmp_path)
    assert not first.present.any()
    monkeypatch.delattr("stpn_data.datasets.read_youtube_vis")  # it is not read again
    assert same(first, open_dataset(tmp_path))


def test_classes_can_be_chosen(tmp_path: Path) -> None:
    index = open_dataset(vis_tree(tmp_path), classes=["fish", "whale"])
    assert index.classes == ("fish", "whale")
    assert set(index.labels.tolist()) == {0}
    assert index.notes == ("2 objects of 1 other classes are left out",)
    assert np.array_equal(index.masks_of(A1), [rectangle_mask(4, 1)])
    assert [instance.id for instance in instances_of(index, 0)] == [4]
    assert index.masks is not None
    assert index.masks.category_ids.tolist() == [7, -1]


def test_joined_indexes_keep_their_masks(tmp_path: Path) -> None:
    one, two = (open_dataset(vis_tree(tmp_path / name)) for name in "xy")
    both = concat([one, two])
    assert both.num_videos == 4
    assert np.array_equal(both.masks_of(7 + A1), one.masks_of(A1))
    assert instances_of(both, 2) == instances_of(two, 0)
    without = concat([one, VideoIndex(**{**vars(two), "masks": None})])
    assert without.masks is None
    assert "instance masks are left out" in without.notes[-1]


def test_a_frame_that_is_missing_is_counted(tmp_path: Path) -> None:
    vis_tree(tmp_path)
    (tmp_path / "train/JPEGImages/a/00005.png").unlink()
    index = open_dataset(tmp_path)
    assert index.present.tolist() == [True, False, True, True, True, True, True]
    assert A1 not in index.keys
    assert "1 of 7 frames have no image file, first a/00005" in index.notes[0]


def test_real_data(shared: Path) -> None:
    index = open_dataset(shared / "data/youtube_vis", "train")
    assert (index.num_videos, index.num_frames, len(index.boxes)) == (7, 280, 580)
    assert index.notes == ()
    for frame in range(0, index.num_frames, 50):
        masks, found = index.masks_of(frame), index.boxes_of(frame)
        for mask, (x1, y1, x2, y2) in zip(masks, found.boxes.astype(int), strict=True):
            assert mask[y1:y2, x1:x2].sum() == mask.sum() > 0
