from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stpn_data.errors import DataError
from stpn_data.open_any import choose_frames, find_frames, open_source
from stpn_data.video_write import write_video


def frames_of(shapes: Path) -> Path:
    return sorted((shapes / "Data" / "VID" / "val").iterdir())[0]


def test_a_video_a_folder_and_a_pattern_are_data_of_one_video(shapes: Path, tmp_path: Path) -> None:
    film = tmp_path / "walk.mp4"
    write_video(film, [torch.full((3, 64, 64), 20 * i, dtype=torch.uint8) for i in range(5)], 8)
    folder = frames_of(shapes)
    for source, frames in (
        (str(film), 5),
        (str(folder), 8),
        (str(folder / "00000[0-3]*"), 4),
    ):
        index = open_source(source, "val")
        assert (index.num_videos, index.num_frames, len(index.boxes)) == (1, frames, 0)
        assert index.frame_path(0).is_file()
        assert not index.annotated.any()
    assert open_source(str(film), "val").frame_name(3) == "walk/000003"


def test_a_data_set_keeps_its_boxes(shapes: Path) -> None:
    assert len(open_source(str(shapes), "val").boxes) >= 16


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("nowhere/*.jpg", "no image matches"),
        ("{shapes}/Data/VID/*/*/*", "files in 6 folders"),
        ("nowhere", "no such file"),
    ],
)
def test_what_cannot_be_read_is_said(shapes: Path, pattern: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(pattern.format(shapes=shapes), "val")


def test_frames_are_drawn_from_different_videos(shapes: Path) -> None:
    index = open_source(str(shapes), "train")
    chosen = choose_frames(index, 4, 0)
    assert {index.video_of(frame) for frame in chosen} == {0, 1, 2, 3}
    assert chosen == sorted(chosen) == choose_frames(index, 4, 0)
    assert any(choose_frames(index, 4, seed) != chosen for seed in (1, 2, 3))
    assert len(choose_frames(index, 6, 0)) == 6
    everything = np.flatnonzero(np.diff(index.box_start)).tolist()
    assert choose_frames(index, 1000, 0) == everything


def test_without_boxes_frames_are_spread(shapes: Path) -> None:
    index = open_source(str(frames_of(shapes)), "val")
    assert choose_frames(index, 2, 5) == [2, 6]
    assert choose_frames(index, 100, 0) == list(range(8))


def test_frames_by_name_and_by_number(shapes: Path) -> None:
    index = open_source(str(shapes), "val")
    assert find_frames(index, [index.frame_name(9), index.frame_name(2)]) == [9, 2]
    with pytest.raises(DataError, match=f"--pick 3: no such frame.*{index.video_names[0]}"):
        find_frames(index, ["3"])
    assert find_frames(open_source(str(frames_of(shapes)), "val"), ["3"]) == [3]
