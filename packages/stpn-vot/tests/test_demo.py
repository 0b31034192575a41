from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stpn_core.training import EvaluationStopped
from stpn_core.weights import read_checkpoint
from stpn_data import open_dataset, open_video
from stpn_data.synthesize import severity_of
from stpn_vot.arguments import DemoArguments
from stpn_vot.demo import opencv, run, setting
from stpn_vot.demo.arms import PROMPTS_OFF, STPN, TWIN, measure, track_all
from stpn_vot.demo.pictures import example_frames
from stpn_vot.demo.report import verdict
from stpn_vot.demo.setting import start_recipe
from stpn_vot.demo.start import frames_with_target
from stpn_vot.start import starting_model
from stpn_vot.still_box import STILL
from stpn_vot.targets import target_of

SMALL = (
    "--layout", "got10k", "--frames", "20", "--size", "64x64", "--classes", "4", "--workers", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo of one step on a few small frames, without OpenCV, and its page after a second call."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    arguments = DemoArguments(out=out, steps=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setting, "SCENES", SMALL)
        patch.setattr(setting, "DATA", ("--videos", "3", "--val-videos", "2"))
        patch.setattr(
            setting, "CLEAN", ("--videos", "2", "--val-videos", "0", "--fraction-degraded", "0")
        )
        patch.setitem(sys.modules, "cv2", None)
        assert run(arguments) == 0
        first = (out / "report.html").read_text()
        files = {file: file.stat().st_mtime_ns for file in (out / "results").rglob("*.txt")}
        assert run(arguments) == 0  # nothing to train and nobody to follow
        assert files == {f: f.stat().st_mtime_ns for f in (out / "results").rglob("*.txt")}
    return out, first


@pytest.fixture(scope="module")
def recipe(demo):
    out, _ = demo
    return setting.demo_recipe(out / "data", out / "start", DemoArguments(out=out, steps=1))


def test_the_report_is_one_file_with_numbers_pictures_and_settings(demo):
    _, page = demo
    assert "STPN against its twin:" in page
    assert (
        page.count("data:image/png;base64,") == 2 + 2 * 2
    )  # plots, and a frame of each video twice
    assert not re.search(r"(src|href)=\"https?:", page)
    parts = (TWIN, PROMPTS_OFF, STILL, "prompt_aux", "torch", "clean", "processor time")
    assert [part for part in parts if part not in page] == []
    assert "OpenCV is not installed here" in page
    text = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_a_second_run_reports_the_same_numbers(demo):
    out, first = demo
    table = re.compile(r"<table>.*?</table>", re.DOTALL)
    again = (out / "report.html").read_text()
    assert table.search(first)[0] == table.search(again)[0]
    assert "the rest is from before" in again
    assert "the rest is from before" not in first


def test_the_clip_plays_and_shows_both(demo):
    out, _ = demo
    with open_video(out / "clip.mp4") as video:
        frames = list(video)
    assert len(frames) == 2 * 20
    height, width = frames[0].image.shape[1:]
    assert width == 2 * height


def test_both_arms_start_from_the_same_tracker(demo, recipe):
    out, _ = demo
    model = replace(recipe.model, num_classes=4)  # of the data
    state = starting_model(replace(recipe, model=model)).state_dict()
    given = read_checkpoint(next((out / "start").rglob("*.safetensors"))).state
    shared = {key for key in state if not key.startswith(("predictor.", "presence."))}
    assert shared == set(given)
    assert all((state[key] == value).all() for key, value in given.items())


def test_the_start_knows_neither_prompts_nor_degraded_frames(demo, recipe):
    out, _ = demo
    start = start_recipe(recipe, out / "clean", Path("crops"), 7)
    assert not start.model.uses_support
    assert replace(start.model, predictor=recipe.model.predictor).arch == recipe.model.arch
    severity = [value for _, value in severity_of(start.data.root).values()]
    assert len(severity) == 2 * 20
    assert set(severity) == {0.0}
    assert max(value for _, value in severity_of(recipe.data.root).values()) > 0


def test_the_encoder_learns_where_the_target_is_seen(demo):
    out, _ = demo
    index = open_dataset(out / "clean", "train")
    absent = [
        int(line)
        for video in index.video_names
        for line in (out / "clean" / "train" / video / "absence.label").read_text().split()
    ]
    assert frames_with_target(index) == [frame for frame, gone in enumerate(absent) if not gone]


def test_following_goes_on_where_it_was_stopped(demo, recipe, tmp_path, monkeypatch):
    out, _ = demo
    monkeypatch.setitem(sys.modules, "cv2", None)
    whole = {arm.title: arm.whole.ao for arm in measure(recipe, out, track_all(recipe, out, bool))}
    mine = tmp_path / "demo"
    shutil.copytree(out, mine, ignore=shutil.ignore_patterns("results"))
    asked = iter(range(1000))
    with pytest.raises(EvaluationStopped):
        track_all(recipe, mine, lambda: next(asked) >= 30)
    done = {file: file.stat().st_mtime_ns for file in (mine / "results").rglob("*_001.txt")}
    assert 0 < len(done) < 6
    folders = track_all(recipe, mine, bool)
    assert done == {file: file.stat().st_mtime_ns for file in done}
    assert whole == {arm.title: arm.whole.ao for arm in measure(recipe, mine, folders)}
    assert list(whole) == [TWIN, STPN, PROMPTS_OFF, STILL]


class FakeTracker:
    """Moves its box by a pixel, and fails on every third frame."""

    def init(self, image, box):
        assert image.dtype == np.uint8
        self.first, self.box, self.frames = image, box, 0

    def update(self, image):
        self.frames += 1
        x, y, w, h = self.box
        self.box = (x + 1, y, w, h)
        return self.frames % 3 != 0, self.box


def test_opencv_takes_part_where_it_is_installed(demo, monkeypatch):
    out, _ = demo
    index = open_dataset(out / "data", "val")
    made = []

    def make():
        made.append(FakeTracker())
        return made[-1]

    legacy = SimpleNamespace(TrackerKCF_create=make)
    quiet = {"setNumThreads": lambda count: None, "setRNGSeed": lambda seed: None}
    monkeypatch.setitem(
        sys.modules, "cv2", SimpleNamespace(TrackerMIL_create=make, legacy=legacy, **quiet)
    )
    assert list(opencv.opencv_trackers()) == ["OpenCV MIL", "OpenCV KCF"]
    ways = list(opencv.opencv_follow(make, index, bool))
    assert [target.name for target, _ in ways] == list(index.video_names)
    target, way = ways[0]
    assert way.boxes[0].tolist() == list(target.box)
    moved = way.boxes[1:, 0] - round(target.box[0])
    assert moved[:5].tolist() == [1, 2, 2, 4, 5]  # it failed on the third
    assert len(way.seconds) == 20
    from stpn_data.clips import read_frame

    pixels = read_frame(index, target.frames[0]).permute(1, 2, 0).numpy()
    assert (made[0].first == pixels[..., ::-1]).all()
    assert list(opencv.opencv_follow(make, index, lambda: True)) == []
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert opencv.opencv_trackers() == {}


def test_the_verdict_names_gains_and_losses():
    def arm(clean: float, severe: float, whole: float) -> SimpleNamespace:
        bins = {"clean": SimpleNamespace(ao=clean), "severe": SimpleNamespace(ao=severe)}
        return SimpleNamespace(by_severity=bins, whole=SimpleNamespace(ao=whole))

    still = arm(0.4, 0.4, 0.425)
    text = verdict(arm(0.9, 0.2, 0.5), arm(0.85, 0.5, 0.6), arm(0.85, 0.3, 0.6), still)
    assert "over all frames: twin 50.0, STPN 60.0, a box that never moves 42.5." in text
    assert "its twin: -5.0 on clean, +30.0 on severe, +10.0 on all frames." in text
    assert "against without: +0.0 on clean, +20.0 on severe, +0.0 on all frames" in text


def test_examples_are_chosen_by_degradation_alone(demo):
    out, _ = demo
    index = open_dataset(out / "data", "val")
    severity = {name: [0.75, 0.0, 0.2, 0.8] + [1.0] * 16 for name in index.video_names}
    chosen = example_frames(index, severity)
    assert [video for video, _ in chosen] == [0, 1]
    for video, place in chosen:
        assert place == 3 or not target_of(index, video).visible[3]
