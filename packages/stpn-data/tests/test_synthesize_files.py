"""Files: the layout of ImageNet VID, the record, and bit-equality."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stpn_data.errors import DataError
from stpn_data.readers.imagenet_vid import read_imagenet_vid
from stpn_data.synthesize import Arguments, read_record, severity_bin, severity_of, synthesize
from stpn_data.synthesize.path import motion_iou

SMALL = Arguments(videos=5, val_videos=3, frames=6, size=(96, 64), num_classes=3, objects=(1, 2))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesize(tmp_path_factory.mktemp("made") / "set", SMALL)


def digest(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_reader_of_real_data_reads_it(made: Path) -> None:
    train, val = (read_imagenet_vid(made, split, progress=False) for split in ("train", "val"))
    assert train.classes == val.classes == SMALL.classes == ("checks", "dots", "stripes")
    assert (train.num_videos, train.num_frames) == (5, 30)
    assert (val.num_videos, val.num_frames) == (3, 18)
    assert train.annotated.all()
    assert val.present.all()
    assert len(train.keys) == 30  # six frames a video, and VID asks for up to fifteen
    for index in (train, val):
        assert (index.boxes[:, :2] >= 0).all()
        assert (index.boxes[:, 2:] <= [96, 64]).all()
        assert (index.boxes[:, 2:] > index.boxes[:, :2]).all()
        assert not (index.flags & 2).any(), "generated boxes"
        assert (index.sizes == [96, 64]).all()


def test_the_audit_finds_no_defect(made: Path) -> None:
    from stpn_data.check import check_dataset

    assert [len(audit.defects) for audit in check_dataset(made)] == [0, 0]


def test_lists_are_as_in_imagenet_vid(made: Path) -> None:
    lists = made / "ImageSets" / "VID"
    train = (lists / "VID_train_15frames.txt").read_text().splitlines()
    assert train[:2] == [
        "train/synthetic_train_00000000 1 0 6",
        "train/synthetic_train_00000000 1 1 6",
    ]
    videos = (lists / "VID_val_videos.txt").read_text().splitlines()
    assert videos[1] == "val/synthetic_val_00000001 7 0 6"
    frames = (lists / "VID_val_frames.txt").read_text().splitlines()
    assert frames[-1] == "val/synthetic_val_00000002/000005 18"
    assert len(frames) == 18


def test_fifteen_key_frames_of_a_longer_video(tmp_path: Path) -> None:
    long = Arguments(videos=2, val_videos=0, frames=40, size=(64, 64), fraction_degraded=0)
    root = synthesize(tmp_path / "long", long)
    lines = (root / "ImageSets/VID/VID_train_15frames.txt").read_text().splitlines()
    assert len(lines) == 30
    assert [int(line.split()[2]) for line in lines[:15]][:3] == [0, 3, 6]
    assert lines[14].split()[2:] == ["39", "40"]


def test_the_record_says_what_was_done_to_each_frame(made: Path) -> None:
    spoiled = severity_of(made)
    assert len(spoiled) == 48
    listed = (made / "ImageSets/VID/VID_val_frames.txt").read_text().split()[::2]
    assert set(listed) == {name for name in spoiled if name.startswith("val/")}
    kinds = {kind for kind, severity in spoiled.values()}
    assert "clean" in kinds <= {"clean", *SMALL.kinds}
    for kind, severity in spoiled.values():
        assert (severity == 0) == (kind == "clean")
        assert severity == 0 or 0.3 <= severity <= 1
    content = json.loads((made / "synthetic.json").read_text())
    assert content["arguments"]["size"] == [96, 64]
    assert content["arguments"]["seed"] == 0


def test_the_record_has_classes_and_motion_of_the_annotations(made: Path) -> None:
    index = read_imagenet_vid(made, "val", progress=False)
    for v, video in enumerate(read_record(made)[5:]):
        assert index.video_names[v] == video.name
        boxes = [index.boxes_of(i) for i in index.frames_of(v)]
        for track, label in enumerate(video.classes):
            rows = [int(np.flatnonzero(b.tracks == track)[0]) for b in boxes]
            assert {index.classes[b.labels[r]] for b, r in zip(boxes, rows, strict=True)} == {label}
            corners = np.array([b.boxes[r] for b, r in zip(boxes, rows, strict=True)], np.float64)
            corners[:, 2:] += 1  # the last pixel belongs to the box
            assert np.allclose(video.motion_iou[track], motion_iou(corners), atol=1e-4)


def test_a_scene_comes_once_per_class(made: Path) -> None:
    val = read_record(made)[5:]
    assert {video.scene for video in val} == {0}
    assert sorted(video.classes[0] for video in val) == list(SMALL.classes)
    assert len({(video.speed, *video.severity) for video in val}) == 1


def test_mixed_classes_differ_within_a_video(tmp_path: Path) -> None:
    arguments = Arguments(
        videos=6, val_videos=0, frames=2, size=(96, 96), objects=(2, 2), mixed=True
    )
    for video in read_record(synthesize(tmp_path / "mixed", arguments)):
        assert len(set(video.classes)) == 2


def test_equal_bits_for_any_number_of_workers(made: Path, tmp_path: Path) -> None:
    parallel = synthesize(tmp_path / "parallel", SMALL, workers=2)
    assert digest(parallel) == digest(made)
    other = synthesize(tmp_path / "other", Arguments(**{**vars(SMALL), "seed": 1}))
    assert digest(other).keys() == digest(made).keys()
    assert digest(other) != digest(made)
    assert leftovers(tmp_path) == ["other", "parallel"]


def test_more_videos_do_not_change_the_first_ones(made: Path, tmp_path: Path) -> None:
    fewer = synthesize(tmp_path / "fewer", Arguments(**{**vars(SMALL), "videos": 2}))
    images = {name: value for name, value in digest(fewer).items() if name.startswith("Data")}
    assert images.items() <= digest(made).items()


def test_the_pictures_are_jpeg_of_the_size_asked_for(made: Path) -> None:
    with Image.open(made / "Data/VID/val/synthetic_val_00000001/000004.JPEG") as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (96, 64), "RGB")


def test_bins_of_severity() -> None:
    assert [severity_bin(s) for s in (0.0, 0.1, 0.39, 0.4, 0.7, 1.0)] == [
        "clean",
        "mild",
        "mild",
        "medium",
        "severe",
        "severe",
    ]
    with pytest.raises(DataError):
        severity_bin(1.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("[]", "not a record"),
        ('{"format": "stpn-synthetic", "version": 9}', "version 9"),
        ('{"format": "stpn-synthetic", "version": 1, "videos": [{"name": "a"}]}', "damaged"),
        ('{"format": "stpn-synthetic", "version": 1}', "damaged"),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "synthetic.json").write_text(text)
    with pytest.raises(DataError, match=message):
        severity_of(tmp_path)


def test_other_data_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only synthetic data"):
        severity_of(tmp_path)
