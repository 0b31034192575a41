"""The runner against torch, on a clip with a cut and on a real video, in processes without torch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_data.arrays.frames import Frame, FrameSource
from stpn_data.support import OnlinePolicy, WindowPolicy
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict import predict as torch_predict
from stpn_vis.predict import segment_file
from stpn_vis.predict_config import PredictConfig
from stpn_vis.rle import as_rle, decode
from stpn_vis.runner import SegmentationStream, open_exported, predict, segment_video

from .conftest import PREDICT, SIDES

WITHOUT_TORCH = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm"):
            raise ImportError(f"{name} is not to be imported")

sys.meta_path.insert(0, Refuse())
"""
SHOWN = dataclasses.replace(PREDICT, score=0.25, most=4)


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error::ImportWarning", "-c", WITHOUT_TORCH + code]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "instances.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("policy", ["window", "online", "uniform"])
def test_objects_are_torchs(small: TrainedSegmenter, folder: Path, clip: Path, policy: str) -> None:
    model = open_exported(folder, threads=1)
    config = dataclasses.replace(SHOWN, policy=policy, cuts=policy != "online")
    given, expected = list(segment_video(model, clip, config)), segment_file(small, clip, config)
    found = 0
    for a, b in zip(given, expected, strict=True):
        assert (a.frame.index, a.has_prompt) == (b.frame.index, b.has_prompt)
        assert a.found.ids.tolist() == b.found.ids.tolist()
        assert a.found.labels.tolist() == b.found.labels.tolist()
        np.testing.assert_allclose(a.found.scores, b.found.scores, atol=1e-4)
        assert (a.found.masks != b.found.masks.numpy()).mean() < 1e-3
        found += len(a.found)
    assert found > 20
    assert any(result.has_prompt for result in given)


def test_prompts_and_cuts_matter(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    plain = dataclasses.replace(SHOWN, policy="online", score=0.0)
    cut, uncut, supported = (
        list(segment_video(model, clip, config))
        for config in (plain, dataclasses.replace(plain, cuts=False),
                       dataclasses.replace(plain, policy="uniform"))
    )  # fmt: skip
    assert not np.array_equal(cut[0].found.scores, supported[0].found.scores)
    assert np.array_equal(cut[7].found.scores, uncut[7].found.scores)
    assert not np.array_equal(cut[9].found.scores, uncut[9].found.scores)
    assert not set(cut[7].found.ids) & set(cut[8].found.ids)  # numbered anew
    assert set(uncut[7].found.ids) & set(uncut[8].found.ids)


def test_a_stream_answers_at_once_or_as_late_as_its_window(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    frames = list(FrameSource(clip))[:7]
    for policy, late in ((OnlinePolicy(2, 2), 0), (WindowPolicy(2, 2), 4)):
        stream = SegmentationStream(model, policy, **SIDES)
        answered = [len(stream.take(frame)) for frame in frames]
        assert answered == [0] * late + [1] * (7 - late)
        assert len(stream.finish()) == late
    small = Frame(0, np.zeros((3, 20, 20), np.uint8), 0.0, "small")
    assert len(stream.take(frames[0]) + stream.take(small)) == 1  # another size is another shot


def test_a_process_without_torch_writes_what_torch_writes(
    small: TrainedSegmenter, folder: Path, shared: Path, tmp_path: Path
) -> None:
    source = shared / "data" / "youtube_vis" / "valid" / "JPEGImages" / "davis16_a_dog"
    code = "from stpn_core.cli import main\nsys.exit(main(sys.argv[1:]))"
    flags = ["--max-frames", "8", "--score", "0.25", "--most", "4", "--device", "cpu"]
    arguments = ["vis", "predict", source, "--weights", folder, "--out", tmp_path / "a", *flags]
    done = run(code, *arguments)
    assert done.returncode == 0, done.stderr
    assert "8 frames" in done.stdout
    torch_predict(small, source, tmp_path / "b", dataclasses.replace(SHOWN, max_frames=8))
    assert (tmp_path / "a" / "annotated.mp4").stat().st_size > 1000
    pixels = differing = 0
    for given, expected in zip(records(tmp_path / "a"), records(tmp_path / "b"), strict=True):
        things, likes = given.pop("objects"), expected.pop("objects")
        assert given == expected
        assert [t["id"] for t in things] == [t["id"] for t in likes]
        for thing, like in zip(things, likes, strict=True):
            assert thing["label"] == like["label"]
            a, b = (decode(as_rle(one["mask"], 0, 0, "")) for one in (thing, like))
            pixels, differing = pixels + b.size, differing + int((a != b).sum())
    assert 1000 * differing < pixels
    ours, theirs = (json.loads((tmp_path / n / "results.json").read_text()) for n in "ab")
    assert [row["category_id"] for row in ours] == [row["category_id"] for row in theirs]
    assert {len(row["segmentations"]) for row in ours} == {8}


def test_the_module_is_a_command_and_errors_are_words(folder: Path, clip: Path, tmp_path: Path):
    code = "import runpy\nrunpy.run_module('stpn_vis.runner', run_name='__main__')"
    out = tmp_path / "a"
    done = run(code, clip, "--model", folder, "--out", out, "--no-video", "--max-frames", "2")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in out.iterdir()) == ["instances.jsonl", "results.json"]
    done = run(code, clip, "--model", tmp_path, "--out", tmp_path / "b")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no exported model" in done.stderr
    assert "Traceback" not in done.stderr
    assert "not to be imported" in run("import torch").stderr  # the hook bites
    assert run("import stpn_vis.stream").returncode == 1


def test_what_the_runner_cannot_do_is_said(
    folder: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = open_exported(folder, threads=1)
    for config, message in (
        (PredictConfig(precision="bf16"), "fp32"),
        (PredictConfig(score=2.0), "score"),
        (PredictConfig(short_side=300, long_side=300), "needs graphs for"),
    ):
        with pytest.raises(InputError, match=message):
            predict(model, clip, tmp_path / "a", config)
        assert not (tmp_path / "a").exists() or not list((tmp_path / "a").iterdir())
    command = ["vis", "predict", str(clip), "--weights", str(folder), "--out", str(tmp_path)]
    assert main([*command, "--device", "tpu"]) == 2
    assert "--device tpu" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 99}, "version 99 of the layout"),
        ({"format": "stpn-vod-export"}, "format"),
        ({"files": {"../../etc/passwd": 1}}, "not the name of a file beside it"),
        ({"graphs": [], "files": {}}, "exported for torch only"),
    ],
)
def test_what_the_manifest_says_is_checked(
    folder: Path, tmp_path: Path, fields: dict, message: str
) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps(json.loads((folder / "model.json").read_text()) | fields))
    with pytest.raises(InputError, match=message):
        open_exported(tmp_path)
