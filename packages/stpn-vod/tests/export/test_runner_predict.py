from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stpn_core.errors import InputError
from stpn_vod.cli import main
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict import predict as torch_predict
from stpn_vod.predict_config import PredictConfig
from stpn_vod.runner import detect_video, open_exported, predict

from .export_tiny import SIDES

WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm"):
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::ImportWarning", "-c", WITHOUT_TORCH + code]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]


def test_a_process_without_torch_writes_what_torch_writes(
    small: TrainedDetector, folder: Path, clip: Path, tmp_path: Path
) -> None:
    code = "from stpn_core.cli import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ["vod", "predict", clip, "--weights", folder, "--out", tmp_path / "a"]
    done = run(code, *arguments, "--score", "0.3", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "13 frames (video complete)" in done.stdout
    config = PredictConfig("window", 4, 3, score=0.3, **SIDES)
    torch_predict(small, clip, tmp_path / "b", config)
    assert (tmp_path / "a" / "annotated.mp4").stat().st_size > 1000
    for given, expected in zip(records(tmp_path / "a"), records(tmp_path / "b"), strict=True):
        things, likes = given.pop("objects"), expected.pop("objects")
        assert given == expected
        assert len(things) == len(likes)
        for thing in things:
            assert any(
                thing["label"] == like["label"]
                and abs(thing["score"] - like["score"]) < 2e-3
                and max(abs(a - b) for a, b in zip(thing["box"], like["box"], strict=True)) < 0.02
                for like in likes
            ), (thing, likes)
    assert sum(record["prompted"] for record in records(tmp_path / "a")) > 5


def test_tracks_without_torch_are_those_with_torch(
    small: TrainedDetector, folder: Path, clip: Path, tmp_path: Path
) -> None:
    code = "from stpn_core.cli import main\nsys.exit(main(sys.argv[1:]))"
    arguments = ["vod", "predict", clip, "--weights", folder, "--out", tmp_path / "a", "--no-video"]
    done = run(code, *arguments, "--score", "0.3", "--device", "cpu", "--tracks")
    assert done.returncode == 0, done.stderr
    config = PredictConfig("window", 4, 3, score=0.3, video=False, tracks=True, **SIDES)
    torch_predict(small, clip, tmp_path / "b", config)
    ours, theirs = (
        [[(thing["id"], thing["label"]) for thing in line["objects"]] for line in records(out)]
        for out in (tmp_path / "a", tmp_path / "b")
    )
    assert [sorted(row) for row in ours] == [sorted(row) for row in theirs]
    assert any(set(row) & set(later) for row, later in itertools.pairwise(ours))  # they stay


def test_the_import_hook_bites() -> None:
    assert "not to be imported" in run("import torch").stderr
    assert run("import stpn_vod.stream").returncode == 1


def test_the_module_is_a_command(folder: Path, clip: Path, tmp_path: Path) -> None:
    code = "import runpy\nrunpy.run_module('stpn_vod.runner', run_name='__main__')"
    done = run(code, clip, "--model", folder, "--out", tmp_path / "a", "--no-video")
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["detections.jsonl"]
    done = run(code, clip, "--model", tmp_path, "--out", tmp_path / "b")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no exported model" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_left_alone_are_those_of_the_export(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    given = PredictConfig("window", 4, 3, score=0.3, **SIDES)
    for config in (PredictConfig(score=0.3), given):
        found = [len(result.found) for result in detect_video(model, clip, config)]
    assert found == [len(r.found) for r in detect_video(model, clip, PredictConfig(score=0.3))]
    other = [r.has_prompt for r in detect_video(model, clip, PredictConfig(policy="uniform"))]
    assert other == [True] * 13


def test_what_the_runner_cannot_do_is_said(folder: Path, clip: Path, tmp_path: Path) -> None:
    model = open_exported(folder, threads=1)
    for config, message in (
        (PredictConfig(precision="bf16"), "fp32"),
        (PredictConfig(short_side=300, long_side=300), "needs graphs for"),
    ):
        with pytest.raises(InputError, match=message):
            predict(model, clip, tmp_path / "a", config)
        assert not list((tmp_path / "a").iterdir())
    with pytest.raises(InputError, match="--device tpu"):
        main(["predict", str(clip), "--weights", str(folder), "--out", "x", "--device", "tpu"])


def test_a_signal_ends_it_with_what_was_answered(
    folder: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_exported(folder, threads=1)

    def interrupt(pixels: object, rows: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return pixels

    monkeypatch.setattr(sys.modules["stpn_vod.runner.predict"], "draw_rows", interrupt)
    summary = predict(model, clip, tmp_path, PredictConfig(policy="online"))
    assert summary.exit_code == 130
    assert summary.frames == 1
    assert len(records(tmp_path)) == 1
