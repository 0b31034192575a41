"""Small painted videos: one white rectangle per frame, exactly where its box is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stpn_data.index import Video, VideoIndex, build_index

sys.path.insert(0, str(Path(__file__).parent))  # worker processes import clip_sources by name

MakeIndex = Callable[..., VideoIndex]


def rectangle(t: int) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the rectangle in frame t."""
    return 10 + 3 * t, 8 + t, 40 + 3 * t, 30 + t


@pytest.fixture
def make_index(tmp_path: Path) -> MakeIndex:
    def make(lengths: Sequence[int] = (12,), size: tuple[int, int] = (120, 80)) -> VideoIndex:
        """Videos v0, v1, … of PNG frames, `size` (width, height); video v holds class v and its
        background is 10 * v; every frame is a key frame."""
        videos = []
        for v, length in enumerate(lengths):
            folder = tmp_path / f"v{v}"
            folder.mkdir()
            for t in range(length):
                frame = np.full((size[1], size[0], 3), 10 * v, np.uint8)
                x1, y1, x2, y2 = rectangle(t)
                frame[y1:y2, x1:x2] = 255
                Image.fromarray(frame).save(folder / f"{t:06d}.png")
            videos.append(
                Video(
                    name=f"v{v}",
                    folder=str(folder),
                    files=[f"{t:06d}.png" for t in range(length)],
                    sizes=np.full((length, 2), size, np.int32),
                    box_counts=np.ones(length, np.int64),
                    boxes=np.array([rectangle(t) for t in range(length)], np.float32),
                    labels=np.full(length, v, np.int16),
                    tracks=np.full(length, 7 + v, np.int32),
                    keys=range(length),
                )
            )
        classes = tuple(f"class{v}" for v in range(len(lengths)))
        return build_index(tmp_path, classes, "painted", videos)

    return make
