"""Files: the layout, bit-equality, and that a folder appears whole or not at all."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stpn_data.errors import DataError, WorkerDied
from stpn_data.readers.imagenet_vid import read_imagenet_vid
from stpn_data.synthesize import (
    Arguments,
    main,
    read_record,
    severity_bin,
    severity_of,
    synthesize,
)
from stpn_data.synthesize.arguments import parse
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


def test_a_folder_with_something_in_it_is_left_alone(made: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="not synthetic data" if overwrite else "--overwrite"):
            synthesize(tmp_path / "precious", SMALL, overwrite=overwrite)
    with pytest.raises(DataError, match="not a folder"):
        synthesize(tmp_path / "precious" / "thesis.txt", SMALL)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years"
    assert leftovers(tmp_path) == ["precious"]


def test_overwrite_replaces_synthetic_data_and_an_empty_folder_is_free(tmp_path: Path) -> None:
    out = tmp_path / "set"
    out.mkdir()
    tiny = Arguments(videos=2, val_videos=0, frames=2, size=(64, 64))
    synthesize(out, tiny)
    before = digest(out)
    with pytest.raises(DataError, match="not empty"):
        synthesize(out, tiny)
    synthesize(out, Arguments(**{**vars(tiny), "videos": 1, "seed": 5}), overwrite=True)
    after = digest(out)
    assert "Data/VID/train/synthetic_train_00000001/000000.JPEG" in before.keys() - after.keys()
    assert leftovers(tmp_path) == ["set"]


def test_a_failure_half_way_leaves_nothing_and_the_old_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stpn_data.synthesize import command

    tiny = Arguments(videos=3, val_videos=0, frames=2, size=(64, 64))
    out = synthesize(tmp_path / "set", tiny)
    before = digest(out)
    seen = []

    def full_disk(root: Path, *_: object) -> None:
        seen.extend(root.rglob("*.JPEG"))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "write_lists", full_disk)
    for place in (out, tmp_path / "new"):
        with pytest.raises(DataError, match=r"nothing was kept.*No space left"):
            synthesize(place, tiny, overwrite=True)
    assert len(seen) == 12, "the failure came before anything was written"
    assert leftovers(tmp_path) == ["set"]
    assert digest(out) == before


COMMAND = (
    "import signal, sys; from stpn_data.synthesize import main; "
    "signal.signal(signal.SIGINT, signal.default_int_handler); "  # a shell may have it ignored
    "sys.exit(main([sys.argv[1], '--videos', '500', '--frames', '8', '--size', '64x64', "
    "'--workers', sys.argv[2]]))"
)


def started(out: Path, workers: int) -> subprocess.Popen[bytes]:
    """A process in the middle of writing many videos to `out`."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(out), str(workers)], stderr=subprocess.DEVNULL
    )
    stage = out.parent / f".{out.name}.partial" / "Data" / "VID" / "train"
    deadline = time.monotonic() + 60
    while not stage.is_dir() or len(list(stage.iterdir())) < 3:
        assert process.poll() is None, "it ended before it could be stopped"
        assert time.monotonic() < deadline, "it never began to write"
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2)])
def test_stopped_by_a_signal_it_tidies_up(tmp_path: Path, number: int, code: int) -> None:
    process = started(tmp_path / "set", workers=2)
    process.send_signal(number)
    assert process.wait(30) == code
    assert leftovers(tmp_path) == []


def test_killed_it_leaves_no_data_set_and_the_next_run_sweeps(tmp_path: Path) -> None:
    out = tmp_path / "set"
    process = started(out, workers=1)
    with pytest.raises(DataError, match="another process is writing"):
        synthesize(out, SMALL)
    process.kill()
    process.wait(30)
    assert leftovers(tmp_path) == [".set.partial"]
    tiny = Arguments(videos=1, val_videos=0, frames=1, size=(64, 64))
    synthesize(out, tiny)
    assert leftovers(tmp_path) == ["set"]
    assert len(list(out.rglob("*.JPEG"))) == 1
    assert not list(out.glob(".*"))


def test_a_killed_worker_is_an_error(tmp_path: Path) -> None:
    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for child in multiprocessing.active_children():
                if list(tmp_path.rglob("*.JPEG")):
                    os.kill(child.pid or 0, signal.SIGKILL)
                    return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    many = Arguments(videos=500, val_videos=0, frames=8, size=(64, 64))
    with pytest.raises(WorkerDied, match="fewer --workers"):
        synthesize(tmp_path / "set", many, workers=2)
    killer.join()
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--classes 9", "--classes"),
        ("--classes 1", "--classes"),
        ("--severity 1.2", "--severity"),
        ("--severity 0.9-0.3", "--severity"),
        ("--kinds fog", "--kinds"),
        ("--size 16x128", "--size"),
        ("--frames 0", "--frames"),
        ("--fraction-degraded nan", "--fraction-degraded"),
        ("--burst 0.5", "--burst"),
        ("--objects 3", "--objects"),
        ("--speeds warp", "--speeds"),
        ("--videos 0 --val-videos 0", "--videos"),
        ("--seed -1", "--seed"),
        ("--workers -1", "--workers"),
    ],
)
def test_values_out_of_range_name_their_flag(line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse(["out", *line.split()])


@pytest.mark.parametrize("line", ["--size 128", "--severity high", "--videos many"])
def test_a_malformed_line_exits_with_two(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(["out", *line.split()])
    assert stop.value.code == 2
    assert line.split()[0] in capsys.readouterr().err


def test_the_command_line_is_what_is_made() -> None:
    line = (
        "OUT --videos 40 --frames 12 --size 192x160 --classes 4 --severity 0.7 "
        "--kinds blur,occlusion --fraction-degraded 0.25 --val-videos 8 --seed 3 --objects 1-2 "
        "--mixed --speeds fast --burst 3 --quality 80 --workers 2 --overwrite"
    )
    request = parse(line.split())
    assert request.arguments == Arguments(
        videos=40,
        val_videos=8,
        frames=12,
        size=(192, 160),
        num_classes=4,
        severity=(0.7, 0.7),
        kinds=("blur", "occlusion"),
        fraction_degraded=0.25,
        burst=3.0,
        objects=(1, 2),
        mixed=True,
        speeds=("fast",),
        quality=80,
        seed=3,
    )
    assert (request.out, request.workers, request.overwrite) == (Path("OUT"), 2, True)
    assert parse(["OUT"]).arguments == Arguments()


def test_main_says_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = f"{tmp_path / 'set'} --videos 1 --val-videos 1 --frames 2 --size 64x64 --workers 1"
    assert main(line.split()) == 0
    assert "1 training and 1 validation videos of 2 frames" in capsys.readouterr().out


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
