from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from video_files import level, make_video

from stpn_data.errors import DataError
from stpn_data.video import open_video


def make_frames(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for i, name in enumerate(names):
        Image.fromarray(np.full((8, 8, 3), 20 * i, np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize("isolated", [False, True])
def test_a_file(isolated: bool, tmp_path: Path) -> None:
    path = make_video(tmp_path / "walk.mp4", 5)
    with open_video(path, isolated=isolated) as video:
        assert (video.name, video.fps, video.length_hint) == ("walk", 10.0, 5)
        assert video.status == "unknown"  # not read yet
        frames = list(video)
    assert video.status == "complete"
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.name for frame in frames][:2] == ["000000", "000001"]
    assert [round(frame.time, 2) for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4]
    assert frames[3].image.shape == (3, 48, 64)
    assert frames[3].image.dtype == torch.uint8
    assert abs(frames[3].image.float().mean() - level(3)) < 6


def test_frames_may_be_kept_and_read_again(tmp_path: Path) -> None:
    with open_video(make_video(tmp_path / "a.mkv", 4)) as video:
        once = [frame.image for frame in video]
        twice = [frame.image for frame in video]
    assert all(torch.equal(a, b) for a, b in zip(once, twice, strict=True))
    assert len({round(image.float().mean().item()) for image in once}) == 4


def test_stopping_early_closes_the_file(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", 6)
    with open_video(path) as video:
        for frame in video:
            if frame.index == 2:
                break
    assert video.status == "unknown"
    path.unlink()


def test_a_folder_in_natural_order(tmp_path: Path) -> None:
    folder = make_frames(tmp_path / "walk", ["f2.png", "f10.png", "f1.png"])
    (folder / "notes.txt").touch()
    (folder / ".f0.png").touch()
    with open_video(folder) as video:
        frames = list(video)
    assert [frame.name for frame in frames] == ["f1", "f2", "f10"]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [40, 0, 20]
    assert [frame.time for frame in frames] == [0, 1 / 25, 2 / 25]
    assert (video.name, video.status, video.length_hint) == ("walk", "complete", 3)


def test_a_pattern(tmp_path: Path) -> None:
    folder = make_frames(tmp_path / "walk", ["f2.png", "f10.png", "g1.png"])
    with open_video(f"{folder}/f*.png") as video:
        assert [frame.name for frame in video] == ["f2", "f10"]
    with pytest.raises(DataError, match="no file matches this pattern"):
        open_video(f"{folder}/h*.png")
    odd = make_video(tmp_path / "a[1].mkv", 2)  # a name, not a pattern
    with open_video(odd) as video:
        assert sum(1 for _ in video) == 2


def test_what_is_no_video_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.mp4").write_text("<html>")
    for path, reason in (
        ("empty", "holds no image file"),
        ("page.mp4", "not a video file that can be read"),
        ("absent.mp4", "No such file"),
    ):
        with pytest.raises(DataError, match=reason):
            open_video(tmp_path / path)


def test_a_broken_frame_in_a_folder_is_named(tmp_path: Path) -> None:
    folder = make_frames(tmp_path / "walk", ["0.png", "1.png"])
    (folder / "1.png").write_bytes(b"\x89PNG")
    with open_video(folder) as video, pytest.raises(DataError, match=r"1\.png"):
        list(video)
    assert video.status == "unknown"


REAL = {
    "asl_clip.mkv": (77, 480, 640),
    "intel_bottle-detection.mp4": (1189, 360, 640),
    "mma_test.avi": (164, 240, 320),
    "mmtracking_demo.mp4": (8, 1080, 1920),
    "sam2_01_dog.mp4": (289, 720, 1280),
    "sam2_05_default_juggle.mp4": (247, 720, 1280),
}


@pytest.mark.parametrize("name", REAL)
def test_real_videos(name: str, shared: Path) -> None:
    count, height, width = REAL[name]
    with open_video(shared / "data/video" / name) as video:
        times = []
        for frame in video:
            assert frame.image.shape == (3, height, width)
            times.append(frame.time)
    assert len(times) == count
    assert times == sorted(times)
    assert video.status == "complete"
    assert abs((video.length_hint or 0) - count) <= 1


def test_a_real_folder(shared: Path) -> None:
    with open_video(shared / "data/frames/ILSVRC2015_val_00007010") as video:
        frames = [(frame.name, frame.image.shape) for frame in video]
    assert frames[0] == ("000000", (3, 720, 1280))
    assert len(frames) == 144
