from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stpn_data.errors import DataError
from stpn_data.video import open_video
from stpn_data.video_write import write_video


def frames(count: int, size: tuple[int, int] = (48, 64)) -> Iterator[torch.Tensor]:
    for i in range(count):
        frame = torch.full((3, *size), 40 + 10 * i, dtype=torch.uint8)
        frame[:, : size[0] // 2] = 200
        yield frame


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mov"])
@pytest.mark.parametrize("codec", [None, "mpeg4"])
def test_what_is_written_can_be_read(name: str, codec: str | None, tmp_path: Path) -> None:
    path = tmp_path / name
    assert write_video(path, frames(6), 29.97, codec=codec) == 6
    with open_video(path) as video:
        found = list(video)
    assert video.status == "complete"
    assert video.fps == pytest.approx(29.97, rel=1e-3)
    for wanted, frame in zip(frames(6), found, strict=True):
        assert (wanted.float() - frame.image.float()).abs().mean() < 6
    assert list(tmp_path.iterdir()) == [path]


def test_odd_sizes_lose_a_line_and_other_sizes_are_scaled(tmp_path: Path) -> None:
    mixed = [*frames(2, (47, 65)), *frames(2, (94, 130))]
    write_video(tmp_path / "a.mp4", mixed, 10)
    with open_video(tmp_path / "a.mp4") as video:
        assert {frame.image.shape for frame in video} == {(3, 46, 64)}


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")

    def breaks() -> Iterator[torch.Tensor]:
        yield from frames(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(path, breaks(), 10)
    assert path.read_text() == "old"
    assert write_video(path, [], 10) == 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none/a\.mp4: the video cannot be written"):
        write_video(tmp_path / "none/a.mp4", frames(1), 10)
    with pytest.raises(DataError, match=r"\.xyz: not the ending of a video file"):
        write_video(tmp_path / "a.xyz", frames(1), 10)
    with pytest.raises(DataError, match="0 frames per second"):
        write_video(tmp_path / "a.mp4", frames(1), 0)
    assert list(tmp_path.iterdir()) == []
