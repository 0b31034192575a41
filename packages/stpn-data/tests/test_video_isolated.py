from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from video_files import level, make_video

from stpn_data.errors import DataError
from stpn_data.video_decode import FileDecoder
from stpn_data.video_isolated import IsolatedDecoder


@pytest.fixture
def video(tmp_path: Path) -> str:
    return str(make_video(tmp_path / "a.mkv", 200, (320, 240)))


def test_the_child_gives_the_same_frames(video: str) -> None:
    here, there = FileDecoder(video), IsolatedDecoder(video)
    assert (there.fps, there.length_hint) == (here.fps, here.length_hint)
    count = 0
    for a, b in zip(here, there, strict=True):
        assert a.time == b.time
        assert np.array_equal(a.pixels, b.pixels)
        count += 1
    assert count == 200
    assert (there.status, there.problems) == ("complete", [])


def test_bad_input_is_the_same_error(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_text("ffconcat version 1.0\n")
    with pytest.raises(DataError, match="not a video file that can be read"):
        IsolatedDecoder(str(tmp_path / "x.mp4"))


@pytest.mark.parametrize("kind", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_of_the_decoder_is_an_error_here(video: str, kind: signal.Signals) -> None:
    decoder = IsolatedDecoder(video)
    frames = iter(decoder)
    assert abs(int(next(frames).pixels.mean()) - level(0)) <= 4
    os.kill(decoder._child.pid, kind)
    with pytest.raises(DataError, match=rf"the decoder crashed \({kind.name}\) after \d+ frames"):
        list(frames)


def test_memory_is_bounded(video: str) -> None:
    with pytest.raises(DataError, match="the decoder crashed"):
        list(IsolatedDecoder(video, memory=100 << 20))


def test_a_decoder_that_hangs_is_given_up(video: str) -> None:
    decoder = IsolatedDecoder(video)
    decoder._silence = 0.5
    os.kill(decoder._child.pid, signal.SIGSTOP)
    with pytest.raises(DataError, match="gave nothing for"):
        list(decoder)
    assert decoder._child.returncode is not None


def test_leaving_early_leaves_no_process(video: str) -> None:
    decoder = IsolatedDecoder(video)
    next(iter(decoder))
    decoder.close()
    assert decoder._child.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(decoder._child.pid, 0)


def test_a_slow_reader_is_no_hang(video: str) -> None:
    decoder = IsolatedDecoder(video)
    frames = iter(decoder)
    next(frames)
    decoder._silence = 0.5
    time.sleep(1.0)
    next(frames)
    decoder._silence = 60.0  # on a loaded machine the rest may take its time
    assert sum(1 for _ in frames) == 198


def test_modules_in_the_current_folder_are_not_run(
    video: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    assert sum(1 for _ in IsolatedDecoder(video)) == 200
