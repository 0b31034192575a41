from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from vid_tree import write_image
from video_files import level, make_video

from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.image import decode_image
from stpn_data.readers.own import read_frames_folder, read_own
from stpn_data.readers.own_boxes import read_own_boxes


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("STPN_CACHE", str(folder))
    return folder


def frames(folder: Path, names: list[str]) -> Path:
    for i, name in enumerate(names):
        write_image(folder / name, 10 * i)
    return folder


CSV = "frame,x1,y1,x2,y2,label,track\n0,1,2,30,40,car,1\n0,5,5,20,20,dog,\n2,9,2,30,40,car,1\n3,,,,,,\n"


def test_a_folder_and_a_csv_file(tmp_path: Path) -> None:
    frames(tmp_path / "train/street", [f"{i:06d}.jpg" for i in range(5)])
    (tmp_path / "train/street.csv").write_text(CSV)
    index = read_own(tmp_path, "train")
    assert index.video_names == ("train/street",)
    assert index.classes == ("car", "dog")
    assert index.annotated.tolist() == [True, False, True, True, False]
    assert index.keys.tolist() == [0, 2]  # frame 3 holds nothing, 1 and 4 were not looked at
    first = index.boxes_of(0)
    assert first.boxes.tolist() == [[1, 2, 30, 40], [5, 5, 20, 20]]
    assert (first.labels.tolist(), first.tracks.tolist()) == ([0, 1], [1, -1])
    assert index.sizes.tolist() == [[64, 48], [0, 0], [64, 48], [64, 48], [0, 0]]


def test_a_video_and_json_lines(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "val").mkdir()
    make_video(tmp_path / "val/park.mp4", 6)
    lines = [
        {"frame": 4, "boxes": [[1, 2, 30, 40]], "labels": ["car"], "tracks": [3]},
        {"frame": 1, "boxes": [], "labels": []},
        {"frame": "000002", "boxes": [[1, 2, 30, 40]], "labels": ["car"], "scores": [0.5]},
    ]
    (tmp_path / "val/park.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    index = read_own(tmp_path, "val")
    assert (index.video_names, index.num_frames) == (("val/park",), 6)
    assert np.flatnonzero(index.annotated).tolist() == [1, 2, 4]
    assert index.tracks.tolist() == [-1, 3]
    assert index.frame_path(4).is_relative_to(cache)
    assert index.sizes.tolist() == [[64, 48]] * 6
    for i in range(6):
        assert abs(decode_image(index.frame_path(i)).float().mean() - level(i)) < 6


def test_frames_are_paired_by_name_or_number(tmp_path: Path) -> None:
    names = ["cam_7.png", "cam_8.png", "cam_10.png"]
    frames(tmp_path / "walk", names)
    (tmp_path / "walk.csv").write_text(
        "label,frame,x,y,width,height\na,cam_10.png,1,1,5,5\nb,8,2,1,5,5\nc,cam_7,3,1,5,5\n"
    )
    index = read_own(tmp_path)
    assert [index.file_name(i) for i in range(3)] == names
    assert index.boxes.tolist() == [[3, 1, 8, 6], [2, 1, 7, 6], [1, 1, 6, 6]]
    assert [index.classes[label] for label in index.labels] == ["c", "b", "a"]


def test_boxes_of_a_frame_that_is_gone_shift_nothing(tmp_path: Path) -> None:
    frames(tmp_path / "walk", ["000.jpg", "002.jpg", "003.jpg"])  # 001 is gone
    (tmp_path / "walk.csv").write_text(
        "frame,x1,y1,x2,y2,label\n" + "".join(f"{i},{i},1,{i + 20},9,a\n" for i in range(5))
    )
    index = read_own(tmp_path)
    assert [index.file_name(i) for i in range(5)] == [f"{i:03d}.jpg" for i in range(5)]
    assert index.present.tolist() == [True, False, True, True, False]
    assert index.boxes[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert index.keys.tolist() == [0, 2, 3]


def coco(tmp_path: Path, images: list[dict], **more: object) -> dict:
    return {
        "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "car"}],
        "images": [{"id": i, **image} for i, image in enumerate(images)],
        "annotations": [
            {"image_id": i, "category_id": 1, "bbox": [i, 1, 20, 20], "track_id": 4}
            for i in range(len(images))
        ],
        **more,
    }


@pytest.mark.parametrize(
    "where", ["train.json", "annotations/train.json", "annotations/instances_train.json"]
)
@pytest.mark.parametrize("prefix", ["", "train/"])
def test_one_coco_file_for_a_split(where: str, prefix: str, tmp_path: Path) -> None:
    frames(tmp_path / "train/street", [f"{i:03d}.jpg" for i in range(4)])
    images = [
        {"file_name": f"{prefix}street/{i:03d}.jpg", "width": 64, "height": 48} for i in (0, 2)
    ]
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_text(json.dumps(coco(tmp_path, images)))
    index = read_own(tmp_path, "train")
    assert index.classes == ("car", "dog")
    assert index.num_frames == 4  # the other two may serve as support
    assert index.keys.tolist() == [0, 2]
    assert index.boxes.tolist() == [[0, 1, 20, 21], [1, 1, 21, 21]]
    assert index.tracks.tolist() == [4, 4]


def test_a_coco_file_over_video_files(tmp_path: Path) -> None:
    make_video(tmp_path / "park.mp4", 5)
    images = [
        {"file_name": "park.mp4/3"},
        {"file_name": "park.mp4/000004.jpg"},
        {"video_id": 1, "frame_id": 1},
    ]
    content = coco(tmp_path, images, videos=[{"id": 1, "name": "park.mp4"}])
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    index = read_own(tmp_path)
    assert (index.video_names, index.num_frames) == (("park",), 5)
    assert index.keys.tolist() == [1, 3, 4]
    assert index.boxes[:, 0].tolist() == [2, 0, 1]


def test_classes_are_the_same_in_every_split(tmp_path: Path) -> None:
    for split, label in (("train", "zebra"), ("val", "ant")):
        frames(tmp_path / split / "v", ["0.jpg"])
        (tmp_path / f"{split}/v.csv").write_text(f"frame,x1,y1,x2,y2,label\n0,1,1,9,9,{label}\n")
    for split in ("train", "val"):
        assert read_own(tmp_path, split).classes == ("ant", "zebra")
    (tmp_path / "classes.txt").write_text("zebra\nant\n")
    assert read_own(tmp_path, "val").labels.tolist() == [1]
    (tmp_path / "classes.txt").write_text("zebra\n")
    with pytest.raises(DataError, match="class 'ant' is not among the classes"):
        read_own(tmp_path, "val")
    for split, name in (("train", "a"), ("val", "b")):
        content = {"categories": [{"id": 1, "name": name}], "images": [], "annotations": []}
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match="different categories"):
        read_own(tmp_path, "val")


FAULTS = {
    "0,1,2,30,40": "5 fields, but the header names 7",
    "0,1,2,30,x,car,1": "could not convert",
    "0,1,2,30,nan,car,1": "four finite numbers",
    "0,1,2,30,1e99,car,1": "four finite numbers",
    "0,1,2,30,40,,1": "a box without a label",
    ",1,2,30,40,car,1": "no frame",
    "0,1,2,30,40,car,1.5": "invalid literal",
}


@pytest.mark.parametrize("line", FAULTS)
def test_bad_lines_are_named_and_the_others_read(line: str, tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(
        f"frame,x1,y1,x2,y2,label,track\n0,1,2,30,40,car,1\n{line}\n1,1,2,30,40,car,1\n"
    )
    defects: list[Defect] = []
    found = read_own_boxes(path, defects.append)
    assert list(found) == ["0", "1"]
    assert [defect.place for defect in defects] == [f"{path}:3"]
    assert FAULTS[line] in defects[0].message


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"boxes": []}',
        '{"frame": 1.5}',
        '{"frame": 0, "boxes": [[1, 2, 3, 4]]}',
        '{"frame": 0, "boxes": [[1, 2, 3]], "labels": ["a"]}',
        '{"frame": 0, "boxes": [[1, 2, 3, NaN]], "labels": ["a"]}',
        '{"frame": 0, "boxes": [[1, 2, 3, "4"]], "labels": ["a"]}',
        '{"frame": 0, "boxes": [[1, 2, 3, 4]], "labels": [3]}',
        '{"frame": 0, "boxes": 5}',
        "[" * 100_000,
    ],
)
def test_bad_json_lines_are_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(f'{{"frame": 7}}\n{line}\n')
    defects: list[Defect] = []
    assert list(read_own_boxes(path, defects.append)) == ["7"]
    assert [defect.place for defect in defects] == [f"{path}:2"]


def test_headers_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    for text, reason in (
        ("0,1,2,30,40,car\n", "the first line must name the columns"),
        ("", "the first line must name the columns"),
        ('frame,x1,y1,x2,y2,label\n0,1,2,3,4,"a\n', r"v\.csv:\d"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=reason):
            read_own_boxes(path, lambda _: None)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_own_boxes(path, lambda _: None)


def test_what_does_not_fit_together_is_a_defect(tmp_path: Path) -> None:
    train = tmp_path / "train"
    frames(train / "walk", ["0.jpg"])
    (train / "lost.csv").write_text("frame,x1,y1,x2,y2,label\n")
    with pytest.raises(DataError, match=r"lost\.csv: no video or folder of this name"):
        read_own(tmp_path)
    (train / "lost.csv").rename(train / "walk.csv")
    (train / "walk.jsonl").write_text("")
    with pytest.raises(DataError, match=r"has both walk\.csv and walk\.jsonl"):
        read_own(tmp_path)
    (train / "walk.jsonl").unlink()
    make_video(train / "walk.mp4", 1)
    with pytest.raises(DataError, match="would share one file of boxes"):
        read_own(tmp_path)


def test_a_stated_size_must_be_the_real_one(tmp_path: Path) -> None:
    frames(tmp_path / "train/v", ["0.jpg"])
    content = coco(tmp_path, [{"file_name": "v/0.jpg", "width": 48, "height": 64}])
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="the frame is 64×48, but stated as 48×64"):
        read_own(tmp_path)


def test_videos_without_boxes_are_left_out_and_folders_kept(tmp_path: Path, cache: Path) -> None:
    frames(tmp_path / "train/v", ["0.jpg", "1.jpg"])
    make_video(tmp_path / "train/w.mp4", 2)
    index = read_own(tmp_path)
    assert (index.num_frames, len(index.keys)) == (2, 0)
    assert index.notes == ("1 video files without boxes are left out",)
    assert list(cache.iterdir()) == []


def test_splits(tmp_path: Path) -> None:
    frames(tmp_path / "train/v", ["0.jpg"])
    with pytest.raises(DataError, match="no folder 'val' in it, only train"):
        read_own(tmp_path, "val")
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="no videos and no folders of images"):
        read_own(tmp_path, "test")


def test_frames_without_boxes(tmp_path: Path) -> None:
    frames(tmp_path / "b", ["10.png", "9.png"])
    frames(tmp_path / "a", ["x.jpg"])
    index = read_frames_folder(tmp_path)
    assert index.video_names == ("a", "b")
    assert [index.frame_name(i) for i in range(3)] == ["a/x", "b/9", "b/10"]
    assert not index.annotated.any()
    assert read_frames_folder(tmp_path / "b").video_names == ("b",)
    with pytest.raises(DataError, match="no images"):
        read_frames_folder(tmp_path / "none")
