"""`stpn vis predict` on a long video: 3,000 frames of 480p stay under 4 GB."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stpn_vis import records
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict import predict
from stpn_vis.predict_config import PredictConfig

from .tiny import CONFIG, segmenter

LENGTH, LIMIT = 3000, 4 << 30
FRAMES = 40  # that are measured
SETTINGS = PredictConfig(
    short_side=32, long_side=64, score=0.0, most=10, count=2, stride=1, cuts=False, video=False
)


def _kib(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


def _peak(source: Path, out: Path, frames: int) -> int:
    """Bytes that predicting so many frames takes at most, of all memory of this process."""
    trained = TrainedSegmenter(segmenter(), CONFIG, ("ant", "bee", "cat", "dog"), out)
    config = SETTINGS.__class__(**{**vars(SETTINGS), "max_frames": frames})
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    summary = predict(trained, source, out, config)
    assert summary.frames == frames
    assert summary.objects >= 5
    return _kib("VmHWM") << 10


def _fresh(mask: np.ndarray) -> mmap.mmap:
    """The mask on pages straight from the kernel: the heap may have as much lying free."""
    pages = mmap.mmap(-1, mask.size)
    pages.write(mask.astype(np.uint8).tobytes())
    return pages


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """Frames of 854 x 480, all the same: memory is what counts."""
    folder = tmp_path / "street"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (30, 54, 3), np.uint8)
    Image.fromarray(picture).resize((854, 480)).save(folder / "0000.jpg")
    for t in range(1, FRAMES + 4):
        os.link(folder / "0000.jpg", folder / f"{t:04d}.jpg")
    return folder


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's /proc")
def test_a_long_video_fits_into_memory(street, tmp_path, monkeypatch):
    def whole_video() -> float:
        """The peak of LENGTH frames, from what FRAMES of them add to a few."""
        few = _peak(street, tmp_path / "few", 4)
        more = _peak(street, tmp_path / "more", FRAMES + 4)
        return few + (more - few) / FRAMES * LENGTH

    whole_video()  # caches and arenas are as large as they get
    assert whole_video() < LIMIT
    encode = records.encode
    monkeypatch.setattr(records, "encode", lambda mask: {**encode(mask), "dense": _fresh(mask)})
    assert whole_video() > LIMIT
