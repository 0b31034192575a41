from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from target_trees import coco_object, coco_tree

from stpn_data import hold_out, open_dataset
from stpn_data.check import check_dataset
from stpn_data.errors import DataError
from stpn_data.layouts import Layout, find_layout
from stpn_data.readers import read_coco_targets


def test_a_sequence_of_one_frame_for_each_object(tmp_path: Path) -> None:
    path = coco_tree(tmp_path)
    index = read_coco_targets(path, progress=False)
    assert index.video_names == ("000000000009-5", "000000000025-7")  # by image
    assert index.classes == ("person", "car")
    assert index.labels.tolist() == [0, 1]
    assert index.boxes.tolist() == [[1, 2, 61.5, 72], [10, 20, 110, 80]]
    assert index.video_start.tolist() == index.box_start.tolist() == [0, 1, 2]
    assert index.tracks.tolist() == index.flags.tolist() == [0, 0]
    assert index.keys.tolist() == [0, 1]
    assert index.sizes.tolist() == [[64, 480], [640, 480]]
    assert index.present.all()
    assert index.frame_path(1) == tmp_path / "train2017/000000000025.jpg"
    assert index.notes == (
        "1 crowds are left out",
        "1 objects of up to 50 pixels a side are left out",
    )


def test_what_is_taken_can_be_chosen(tmp_path: Path) -> None:
    path = coco_tree(tmp_path)
    every = read_coco_targets(path, smallest=0, progress=False)
    assert [name.split("-")[1] for name in every.video_names] == ["5", "6", "7"]
    cars = read_coco_targets(path, classes=["car"], progress=False)
    assert (cars.classes, cars.num_videos) == (("car",), 1)
    assert "2 objects of other classes are left out" in cars.notes
    with pytest.raises(DataError, match="has no category 'bus'; it has person, car"):
        read_coco_targets(path, classes=["bus"], progress=False)
    with pytest.raises(DataError, match="no object is wider and higher than 500 pixels"):
        read_coco_targets(path, smallest=500, progress=False)
    train, held = hold_out(every, 0.34)
    assert (train.num_videos, held.num_videos) == (2, 1)


def test_it_is_found(tmp_path: Path) -> None:
    path = coco_tree(tmp_path, "val")
    wanted = Layout("coco_targets", path, tmp_path / "val2017")
    assert find_layout(tmp_path, "val") == wanted
    assert find_layout(path, "val", "coco_targets") == wanted
    assert find_layout(path, "val").format == "coco_vid"  # a file alone says nothing of tracking
    with pytest.raises(DataError, match=r"no annotations/instances_train2017\.json"):
        find_layout(tmp_path, "train")
    assert open_dataset(tmp_path, "val", cache=False).num_videos == 2
    (audit,) = check_dataset(tmp_path, progress=False)
    assert (audit.split, audit.counts) == ("val", {})


def test_defects_are_named(tmp_path: Path) -> None:
    path = coco_tree(tmp_path)
    (tmp_path / "train2017/000000000009.jpg").unlink()
    (audit,) = check_dataset(tmp_path, progress=False)
    assert audit.counts == {"missing frame": 1}
    objects = [coco_object(1, 99, 1, [0, 0, 60, 60]), coco_object(2, 25, 3, [0, 0, 60, 60])]
    coco_tree(tmp_path, annotations=objects)
    with pytest.raises(DataError, match="image_id 99 does not exist"):
        read_coco_targets(path, progress=False)
    index = read_coco_targets(path, on_defect=lambda _: None, progress=False)
    assert index.video_names == ("000000000025-2",)


def test_a_path_out_of_the_images_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = coco_tree(tmp_path / "coco")
    text = path.read_text().replace("000000000025.jpg", "there/000000000025.jpg")
    path.write_text(text)
    assert read_coco_targets(path, progress=False).present.tolist() == [True, False]
    (tmp_path / "coco/train2017/there").symlink_to(outside)
    with pytest.raises(DataError, match="leads out of the data set"):
        read_coco_targets(path, progress=False)


def test_many_objects_of_an_image_share_its_file(tmp_path: Path) -> None:
    objects = [coco_object(n, 25, 1, [n, 0, 60 + n, 60]) for n in range(200)]
    index = read_coco_targets(coco_tree(tmp_path, annotations=objects), progress=False)
    assert index.num_videos == 200
    assert len(set(map(index.file_name, range(200)))) == 1
    assert np.array_equal(index.boxes[:, 0], np.arange(200))
