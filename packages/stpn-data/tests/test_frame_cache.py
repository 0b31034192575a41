from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_files import level, make_video

from stpn_data import frame_cache
from stpn_data.errors import DataError
from stpn_data.frame_cache import store_frames


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STPN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_frames_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_video(tmp_path / "a.mp4", 4)
    stored = store_frames(path)
    assert (stored.sizes, stored.status) == (((64, 48),) * 4, "complete")
    for i in range(4):
        pixels = np.array(Image.open(f"{stored.folder}/{i:06d}.jpg"))
        assert abs(pixels.mean() - level(i)) < 6
    monkeypatch.setattr(frame_cache, "FileDecoder", None)
    assert store_frames(path) == stored
    monkeypatch.undo()


def test_another_file_under_the_name_is_decoded_again(tmp_path: Path, cache: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 4)
    first = store_frames(path)
    make_video(path, 2)
    second = store_frames(path)
    assert len(second.sizes) == 2
    assert first.folder != second.folder
    assert sorted(os.listdir(first.folder)) == [*(f"{i:06d}.jpg" for i in range(4)), "frames.json"]


def test_a_cut_video_says_so(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", 30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    stored = store_frames(path)
    assert stored.status == "truncated"
    assert 5 < len(stored.sizes) < 30


def test_a_failure_leaves_nothing_half_done(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "a.mp4", 4)
    saves = []

    def full(self: Image.Image, *args: object, **more: object) -> None:
        saves.append(args)
        if len(saves) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(DataError, match="No space left on device; set STPN_CACHE"):
        store_frames(path)
    assert os.listdir(cache / "frames") == []
    with pytest.raises(DataError, match="No such file"):
        store_frames(tmp_path / "none.mp4")
