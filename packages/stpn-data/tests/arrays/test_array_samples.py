from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stpn_data.arrays.samples import APART, FEW, as_input, frames_of_data, frames_of_input
from stpn_data.errors import DataError


def test_a_few_frames_of_one_size(tmp_path: Path) -> None:
    for t in range(20):
        side = 40 if t != APART else 30
        Image.fromarray(np.full((20, side, 3), t, np.uint8)).save(tmp_path / f"{t}.png")
    frames = frames_of_input(str(tmp_path))
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 2 * APART]  # one has another size
    assert len(frames) < FEW
    with pytest.raises(DataError, match="absent"):
        frames_of_input(str(tmp_path / "absent.mp4"))
    assert frames_of_data("", "train") == frames_of_data(str(tmp_path / "absent"), "train") == []


def test_a_frame_is_as_large_as_the_input_allows() -> None:
    frame = np.full((20, 40, 3), 100, np.uint8)
    image, size = as_input(frame, (32, 32), (100.0, 90.0, 80.0), (1.0, 2.0, 4.0))
    assert size == (16, 32)
    assert image.shape == (1, 3, 32, 32)
    assert image[0, :, 5, 5].tolist() == [0.0, 5.0, 5.0]
    assert not image[:, :, 16:].any()
