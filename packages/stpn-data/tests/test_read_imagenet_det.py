from __future__ import annotations

from pathlib import Path

import pytest
from vid_tree import opened_paths, vid_tree, write_image, write_xml, xml_object

from stpn_data.classes import VID_NAMES
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.index import concat
from stpn_data.readers.imagenet_det import read_imagenet_det
from stpn_data.readers.imagenet_vid import read_imagenet_vid

IMAGES = (
    "train/ILSVRC2013_train/n02084071/n02084071_1",
    "train/ILSVRC2013_train/n02084071/n02084071_2",
    "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000001",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = tmp_path / "ILSVRC"
    for i, name in enumerate(IMAGES):
        write_image(base / f"Data/DET/{name}.JPEG", i)
        objects = [
            xml_object("n02084071", (i, 5, i + 20, 30), None),
            xml_object("n00007846", (1, 1, 9, 9), None),  # a DET class that VID lacks
        ]
        write_xml(base / f"Annotations/DET/{name}.xml", objects)
    (base / "ImageSets/VID").mkdir(parents=True)
    rows = [f"{name} 1" for name in (*IMAGES, IMAGES[0])]
    (base / "ImageSets/VID/DET_train_30classes.txt").write_text("\n".join(rows))
    return tmp_path


def test_images_become_videos_of_one_frame(tree: Path) -> None:
    index = read_imagenet_det(tree)
    assert index.video_names == IMAGES
    assert index.num_frames == 3
    assert index.classes == VID_NAMES
    assert index.frame_name(1) == IMAGES[1]
    assert index.frame_path(2).is_file()
    assert index.keys.tolist() == [0, 1, 2]
    assert index.labels.tolist() == [VID_NAMES.index("dog")] * 3
    assert index.tracks.tolist() == [-1, -1, -1]
    assert [index.boxes_of(i).boxes[0, 0] for i in range(3)] == [0, 1, 2]
    assert index.notes == (
        "1 repeated entries of DET_train_30classes.txt count once",
        "3 boxes of 1 other classes are left out (n00007846)",
    )


def test_without_a_list_every_annotated_image_is_read(tree: Path) -> None:
    (tree / "ILSVRC/ImageSets/VID/DET_train_30classes.txt").unlink()
    assert read_imagenet_det(tree).video_names == IMAGES


def test_missing_images_and_annotations_are_no_keys(tree: Path) -> None:
    (tree / f"ILSVRC/Data/DET/{IMAGES[0]}.JPEG").unlink()
    (tree / f"ILSVRC/Annotations/DET/{IMAGES[1]}.xml").unlink()
    index = read_imagenet_det(tree)
    assert index.present.tolist() == [False, True, True]
    assert index.annotated.tolist() == [True, False, True]
    assert index.keys.tolist() == [2]


def test_other_classes_can_be_asked_for(tree: Path) -> None:
    index = read_imagenet_det(tree, classes=["n00007846"])
    assert index.boxes.tolist() == [[1, 1, 9, 9]] * 3


def test_joins_with_vid(tree: Path) -> None:
    vid_tree(tree / "ILSVRC")
    both = concat([read_imagenet_vid(tree), read_imagenet_det(tree)])
    assert both.num_frames == 12
    assert all(both.frame_path(i).is_file() for i in range(12))
    assert both.frame_name(11) == IMAGES[2]
    assert both.keys.tolist()[-3:] == [9, 10, 11]


@pytest.mark.parametrize("name", ["/etc/passwd", "../../outside/x", "train/out/x"])
def test_no_list_leads_out_of_the_root(name: str, tree: Path) -> None:
    base, outside = tree / "ILSVRC", tree / "outside"
    write_image(outside / "x.JPEG")
    (base / "Data/DET/train/out").symlink_to(outside)
    (base / "ImageSets/VID/DET_train_30classes.txt").write_text(f"{name} 1\n{IMAGES[0]} 1\n")
    with opened_paths() as opened, pytest.raises(DataError, match=r"refusing the path|leads out"):
        read_imagenet_det(tree)
    defects: list[Defect] = []
    with opened_paths() as opened:
        index = read_imagenet_det(tree, on_defect=defects.append)
    assert index.video_names == IMAGES[:1]
    assert len(defects) == 1
    assert not [path for path in opened if path.startswith((str(outside), "/etc"))]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no ImageNet DET here"):
        read_imagenet_det(tmp_path)
    (tmp_path / "Data/DET").mkdir(parents=True)
    with pytest.raises(DataError, match="no images in"):
        read_imagenet_det(tmp_path)
