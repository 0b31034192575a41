from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stpn_core.errors import InputError, NumericsError
from stpn_vot import tracker
from stpn_vot.model_file import TrainedTracker
from stpn_vot.predict import predict as torch_predict
from stpn_vot.predict_config import PredictConfig
from stpn_vot.runner import open_exported, start_tracking, track, track_video
from stpn_vot.runner.model import ExportedTracker
from stpn_vot.tracking_config import TrackingConfig

WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "cv2"):
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
"""
BOXES = ((30.0, 20.0, 14.0, 12.0), (55.5, 30.25, 16.0, 20.0))
BOX_FLAGS = [word for box in BOXES for word in ("--box", ",".join(map(str, box)))]


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::ImportWarning", "-c", WITHOUT_TORCH + code]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "tracks.jsonl").read_text().splitlines()]


def test_a_process_without_torch_writes_what_torch_writes(
    small: TrainedTracker, folder: Path, clip: Path, tmp_path: Path
) -> None:
    code = "from stpn_core.cli import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ["vot", "predict", clip, "--weights", folder, "--out", tmp_path / "a", *BOX_FLAGS]
    done = run(code, *arguments, "--device", "cpu", "--tracking.threshold", "0.1")
    assert done.returncode == 0, done.stderr
    assert "12 frames (video complete), 2 targets" in done.stdout
    settings = TrackingConfig(support_stride=2, interval=3, threshold=0.1, redetect=True)
    torch_predict(small, clip, BOXES, tmp_path / "b", PredictConfig(settings))
    assert (tmp_path / "a" / "annotated.mp4").stat().st_size > 1000
    ours, theirs = records(tmp_path / "a"), records(tmp_path / "b")
    for given, expected in zip(ours, theirs, strict=True):
        pairs = zip(given.pop("targets"), expected.pop("targets"), strict=True)
        assert given == expected
        for one, other in pairs:
            assert one["box"] == pytest.approx(other["box"], abs=0.01)
            assert one["lost"] == other["lost"]
            assert (one["score"] is None) == (given["frame"] == 0)
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_the_import_hook_bites() -> None:
    assert "not to be imported" in run("import torch").stderr
    assert run("import stpn_vot.tracker").returncode == 1


def test_the_module_is_a_command(folder: Path, clip: Path, tmp_path: Path) -> None:
    code = "import runpy\nrunpy.run_module('stpn_vot.runner', run_name='__main__')"
    some = ["--no-video", "--max-frames", "3", *BOX_FLAGS]
    done = run(code, clip, "--model", folder, "--out", tmp_path / "a", *some)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["tracks.jsonl"]
    done = run(code, clip, "--model", tmp_path, "--out", tmp_path / "b", *some)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no exported model" in done.stderr
    assert "Traceback" not in done.stderr


def frames(length: int = 10) -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [generator.integers(0, 256, (3, 72, 88)).astype(np.uint8) for _ in range(length)]


@pytest.mark.parametrize(
    "changes",
    [
        {"support": "reuse"},
        {"prompts": False},
        {"lost_below": 1.0, "patience": 2, "threshold": 1.0, "redetect": True},
        {"support_count": 2, "support_stride": 1, "interval": 1},
    ],
    ids=["reuse", "off", "lost", "often"],
)
def test_every_setting_is_followed_as_by_torch(
    small: TrainedTracker, folder: Path, changes: dict
) -> None:
    base = TrackingConfig(48, 96, threshold=0.0, lost_below=0.0, interval=3, support_stride=2)
    config, model = dataclasses.replace(base, **changes), open_exported(folder, threads=1)
    video, box = frames(), BOXES[0]
    theirs = start_tracking(model, video[0], box, config)
    ours = tracker.start_tracking(small.model, torch.from_numpy(video[0]), box, config)
    for frame in video[1:]:
        given, theirs = track(model, theirs, frame)
        expected, ours = tracker.track(small.model, ours, torch.from_numpy(frame))
        assert given.box == pytest.approx(expected.box, abs=0.01)
        assert given.score == pytest.approx(expected.score, abs=1e-4)
        assert (given.lost, theirs.missed) == (expected.lost, ours.missed)
        assert theirs.memory.frames == ours.memory.frames
        assert (theirs.memory.prompts is None) == (ours.memory.prompts is None)
        assert len(theirs.templates.online) == len(ours.templates.online)


def test_settings_left_alone_are_those_of_the_export(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    state = start_tracking(model, frames(1)[0], BOXES[0])
    assert (state.config.support_stride, state.config.interval) == (2, 3)
    given = PredictConfig(TrackingConfig(support_stride=2, interval=3, redetect=True))
    some, others = (
        [found.targets for found in track_video(model, clip, BOXES[:1], config)]
        for config in (None, given)
    )
    assert some == others


def test_what_the_runner_cannot_do_is_said(folder: Path, clip: Path) -> None:
    model, frame = open_exported(folder, threads=1), frames(1)[0]
    for config, message in (
        (PredictConfig(precision="bf16"), "fp32"),
        (PredictConfig(TrackingConfig(search_size=112)), "made for 96"),
    ):
        with pytest.raises(InputError, match=message):
            track_video(model, clip, BOXES, config)
    with pytest.raises(InputError, match="at least one box"):
        track_video(model, clip, [])
    with pytest.raises(InputError, match="outside"):
        start_tracking(model, frame, (88.0, 0.0, 10.0, 10.0))
    with pytest.raises(InputError, match="uint8"):
        track(model, start_tracking(model, frame, BOXES[0]), frame.astype(np.float32))


def test_damaged_weights_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, video = open_exported(folder, threads=1), frames(2)
    state = start_tracking(model, video[0], BOXES[0])
    search = ExportedTracker.search

    def broken(self, *given):
        return dataclasses.replace(search(self, *given), box=np.full(4, math.nan, np.float32))

    track(model, state, video[1])
    monkeypatch.setattr(ExportedTracker, "search", broken)
    with pytest.raises(NumericsError, match="frame 1"):
        track(model, state, video[1])
