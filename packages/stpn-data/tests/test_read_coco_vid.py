from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vid_tree import opened_paths, vid_tree, write_image

from stpn_data.classes import VID_NAMES, VID_WNIDS
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.index import GENERATED, OCCLUDED, VideoIndex
from stpn_data.readers.coco_vid import read_coco_vid
from stpn_data.readers.imagenet_vid import read_imagenet_vid


def as_json(index: VideoIndex, root: Path) -> dict[str, Any]:
    """An index in the form that mmtracking's converters write."""
    pairs = zip(VID_NAMES, VID_WNIDS, strict=True)
    result: dict[str, Any] = {
        "categories": [
            {"id": i, "name": name, "encode_name": wnid} for i, (name, wnid) in enumerate(pairs, 1)
        ],
        "videos": [{"id": v, "name": name} for v, name in enumerate(index.video_names, 1)],
        "images": [],
        "annotations": [],
    }
    for i in range(index.num_frames):
        video = index.video_of(i)
        result["images"].append(
            {
                "id": i + 1,
                "file_name": str(index.frame_path(i).relative_to(root)),
                "width": int(index.sizes[i, 0]),
                "height": int(index.sizes[i, 1]),
                "video_id": video + 1,
                "frame_id": i - int(index.video_start[video]),
                "is_vid_train_frame": bool(i in index.keys),
            }
        )
        for box, label, track, flags in zip(*index.boxes_of(i), strict=True):
            x1, y1, x2, y2 = map(int, box)
            result["annotations"].append(
                {
                    "id": len(result["annotations"]) + 1,
                    "image_id": i + 1,
                    "video_id": video + 1,
                    "category_id": int(label) + 1,
                    "instance_id": int(track),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": False,
                    "occluded": bool(flags & OCCLUDED),
                    "generated": bool(flags & GENERATED),
                }
            )
    return result


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path, dict[str, Any], VideoIndex]:
    """Images root, path for the JSON, its content, and the same data read from XML."""
    vid_tree(tmp_path)
    images = tmp_path / "Data/VID"
    index = read_imagenet_vid(tmp_path, "train")
    return images, tmp_path / "train.json", as_json(index, images), index


def test_the_same_as_from_xml(data: tuple[Path, Path, dict[str, Any], VideoIndex]) -> None:
    images, path, content, wanted = data
    path.write_text(json.dumps(content))
    index = read_coco_vid(path, images)
    for name in (
        *("video_start", "name_bytes", "name_start", "sizes", "annotated", "present", "box_start"),
        *("boxes", "labels", "tracks", "flags", "keys"),
    ):
        assert np.array_equal(getattr(index, name), getattr(wanted, name)), name
        assert getattr(index, name).dtype == getattr(wanted, name).dtype, name
    for name in ("classes", "video_names", "folders", "notes"):
        assert getattr(index, name) == getattr(wanted, name)


def test_order_in_the_file_does_not_matter(
    data: tuple[Path, Path, dict[str, Any], VideoIndex],
) -> None:
    images, path, content, wanted = data
    rng = np.random.default_rng(0)
    for key in ("images", "annotations", "categories"):
        content[key] = [content[key][i] for i in rng.permutation(len(content[key]))]
    keys = ("annotations", "images", "categories", "videos")
    path.write_text(json.dumps({"info": {"x": [1]}, **{key: content[key] for key in keys}}))
    index = read_coco_vid(path, images)
    assert np.array_equal(index.boxes, wanted.boxes)
    assert np.array_equal(index.name_bytes, wanted.name_bytes)
    assert index.classes == wanted.classes


def test_images_without_video_and_a_31st_class(tmp_path: Path) -> None:
    for i in range(2):
        write_image(tmp_path / f"train/n0/x{i}.JPEG", i)
    content = {
        "categories": [{"id": i, "name": name} for i, name in enumerate(VID_NAMES, 1)]
        + [{"id": 31, "name": "other_categeries"}],
        "images": [
            {"id": 5 + i, "file_name": f"train/n0/x{i}.JPEG", "width": 64, "height": 48}
            for i in range(2)
        ],
        "annotations": [
            {"image_id": 6, "category_id": 31, "bbox": [0, 0, 9, 9]},
            {"image_id": 6, "category_id": 30, "bbox": [1, 1, 9, 9]},
            {"image_id": 5, "category_id": 31, "bbox": [0, 0, 9, 9]},
        ],
    }
    (tmp_path / "det.json").write_text(json.dumps(content))
    index = read_coco_vid(tmp_path / "det.json", tmp_path)
    assert index.video_names == ("train/n0/x0", "train/n0/x1")
    assert index.frame_name(1) == "train/n0/x1"
    assert index.classes == VID_NAMES
    assert (index.boxes.tolist(), index.labels.tolist()) == ([[1, 1, 10, 10]], [29])
    assert index.keys.tolist() == [1]
    assert "2 boxes of 1 other classes are left out (other_categeries)" in index.notes


def test_missing_frames_stay_in_place(data: tuple[Path, Path, dict[str, Any], VideoIndex]) -> None:
    images, path, content, wanted = data
    path.write_text(json.dumps(content))
    (images / "train/s/a/000002.JPEG").unlink()
    index = read_coco_vid(path, images)
    assert np.flatnonzero(~index.present).tolist() == [2]
    assert np.array_equal(index.boxes, wanted.boxes)
    assert index.keys.tolist() == [0, 4, 5, 7]


def test_frames_in_several_folders(tmp_path: Path) -> None:
    for name in ("a/0.png", "b/1.png"):
        write_image(tmp_path / name)
    content = {
        "categories": [{"id": 1, "name": "cat"}],
        "videos": [{"id": 1, "name": "v"}],
        "images": [
            {"id": i, "file_name": name, "video_id": 1, "frame_id": i}
            for i, name in enumerate(("a/0.png", "b/1.png", "b/2.png"))
        ],
        "annotations": [],
    }
    (tmp_path / "x.json").write_text(json.dumps(content))
    index = read_coco_vid(tmp_path / "x.json", tmp_path)
    assert [index.frame_path(i) for i in range(2)] == [tmp_path / "a/0.png", tmp_path / "b/1.png"]
    assert index.present.tolist() == [True, True, False]


Edit = Callable[[dict[str, Any]], object]
FAULTS: dict[str, tuple[Edit, str]] = {
    "image twice": (lambda c: c["images"][1].update(id=1), r"/images/1: image 1 is given twice"),
    "id as text": (lambda c: c["images"][1].update(id="2"), r"/images/1: id is '2'"),
    "id as bool": (lambda c: c["images"][0].update(id=True), r"/images/0: id is 'True'"),
    "no file": (
        lambda c: c["images"][0].pop("file_name") and c["images"][0].pop("frame_id"),
        "neither",
    ),
    "unknown video": (lambda c: c["images"][0].update(video_id=9), "video_id 9 does not exist"),
    "frame twice": (lambda c: c["images"][1].update(frame_id=0), "absent or given twice"),
    "unknown image": (lambda c: c["annotations"][3].update(image_id=99), "image_id 99 does not"),
    "unknown class": (lambda c: c["annotations"][0].update(category_id=99), "category_id 99 does"),
    "short box": (lambda c: c["annotations"][2].update(bbox=[1, 2, 3]), r"/annotations/2: bbox is"),
    "box of texts": (lambda c: c["annotations"][2].update(bbox=["1", 2, 3, 4]), r"bbox is"),
    "huge box": (lambda c: c["annotations"][2].update(bbox=[1, 2, 3, 1e300]), r"bbox is"),
    "class twice": (lambda c: c["categories"][1].update(id=1), "given twice"),
    "no object": (lambda c: c["images"].append(7), r"/images/9: expected an object"),
    "negative size": (lambda c: c["images"][0].update(width=-1), "width is '-1'"),
    "path": (lambda c: c["images"][0].update(file_name="../x.jpg"), "refusing the path"),
    "absolute path": (
        lambda c: c["images"][0].update(file_name="/etc/passwd"),
        "refusing the path",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_a_place(
    name: str, data: tuple[Path, Path, dict[str, Any], VideoIndex]
) -> None:
    images, path, content, _ = data
    edit, reason = FAULTS[name]
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"train\.json.*{reason}"):
        read_coco_vid(path, images)
    defects: list[Defect] = []
    with opened_paths() as opened:
        read_coco_vid(path, images, on_defect=defects.append)
    assert len(defects) >= 1
    assert not [p for p in opened if p.startswith(("/etc", str(images.parent / "x.jpg")))]


def test_what_is_no_coco_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text, reason in (
        ("[]", "expected {"),
        ("{}", "no 'images'"),
        ('{"images": []}', "no 'categories'"),
        ('{"images": [], "categories": []}', "lists no images"),
        ('{"images": [NaN], "categories": []}', "NaN"),
        ('{"images": 1, "categories": []}', "expected an array"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=reason):
            read_coco_vid(path, tmp_path)


def test_links_out_of_the_images_are_refused(
    data: tuple[Path, Path, dict[str, Any], VideoIndex], tmp_path_factory: pytest.TempPathFactory
) -> None:
    images, path, content, _ = data
    outside = tmp_path_factory.mktemp("outside")
    write_image(outside / "0.JPEG")
    (images / "out").symlink_to(outside)
    content["images"][0]["file_name"] = "out/0.JPEG"
    path.write_text(json.dumps(content))
    with opened_paths() as opened, pytest.raises(DataError, match="leads out of the data set"):
        read_coco_vid(path, images)
    assert not [p for p in opened if p.startswith(str(outside))]
