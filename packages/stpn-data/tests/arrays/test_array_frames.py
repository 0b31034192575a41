from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stpn_data.arrays.frames import FrameSource
from stpn_data.errors import DataError
from stpn_data.video import open_video
from stpn_data.video_write import write_video


def frame(seed: int, shift: int = 0) -> np.ndarray:
    """uint8 (80, 120, 3): coloured blocks that move."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (10, 15, 3)).astype(np.uint8)
    return np.roll(blocks.repeat(8, 0).repeat(8, 1), shift, 1)


def assert_same(path: Path | str) -> None:
    source = FrameSource(path)
    with open_video(path) as video:
        expected = list(video)
        assert (source.name, source.fps, source.length_hint) == (
            video.name, video.fps, video.length_hint,
        )  # fmt: skip
    for _ in range(2):
        given = list(source)
        assert len(given) == len(expected) > 2
        assert (source.status, source.problems) == (video.status, video.problems)
        for a, b in zip(given, expected, strict=True):
            assert (a.index, a.time, a.name) == (b.index, b.time, b.name)
            assert np.array_equal(a.image, b.image.numpy())


@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_folders_and_patterns(tmp_path: Path, kind: str) -> None:
    for t in (0, 1, 2, 10):
        Image.fromarray(frame(t)).save(tmp_path / f"{t}.{kind}")
    assert_same(tmp_path)
    assert_same(str(tmp_path / f"*.{kind}"))


def test_a_video_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, (torch.from_numpy(frame(t)).permute(2, 0, 1) for t in range(5)), 20.0)
    assert_same(path)


def test_arrays_are_written_as_tensors_are(tmp_path: Path) -> None:
    frames = [frame(t).transpose(2, 0, 1) for t in range(3)]
    write_video(tmp_path / "a.mp4", frames, 20.0)
    write_video(tmp_path / "b.mp4", map(torch.from_numpy, frames), 20.0)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    with pytest.raises(DataError, match=r"a\.jpg"):
        list(FrameSource(tmp_path))
    with pytest.raises(DataError, match="absent"):
        FrameSource(tmp_path / "absent.mp4")
