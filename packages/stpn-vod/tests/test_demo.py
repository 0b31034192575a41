from __future__ import annotations

import re

import pytest

from stpn_data import open_dataset, open_video
from stpn_vod.arguments import DemoArguments
from stpn_vod.demo import run, setting
from stpn_vod.demo.report import example_frames, verdict

SMALL = (
    "--videos", "4", "--val-videos", "4", "--frames", "6", "--size", "64x64", "--classes", "4",
    "--workers", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo of two steps on a few small frames."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setting, "DATA", SMALL)
        patch.setattr(setting, "SIDE", 64)
        assert run(DemoArguments(out=out, steps=2)) == 0
        first = (out / "report.html").read_text()
        assert run(DemoArguments(out=out, steps=2)) == 0  # goes on where it was: nothing to train
    return out, first


def test_the_report_is_one_file_with_numbers_pictures_and_settings(demo):
    _, page = demo
    assert "STPN against its twin, AP50:" in page
    assert page.count("data:image/png;base64,") >= 2 + 3  # plots, and a frame three times
    assert not re.search(r"(src|href)=\"https?:", page)
    for part in ("single-frame twin", "prompts off", "prompt_aux", "torch", "clean"):
        assert part in page
    text = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_a_second_run_reports_the_same_numbers(demo):
    out, first = demo
    table = re.compile(r"<table>.*?</table>", re.DOTALL)
    assert table.search(first)[0] == table.search((out / "report.html").read_text())[0]


def test_the_clip_plays_and_shows_both(demo):
    out, _ = demo
    with open_video(out / "clip.mp4") as video:
        frames = list(video)
    assert len(frames) == 4 * 6
    height, width = frames[0].image.shape[1:]
    assert width == 2 * height


def test_twin_and_stpn_start_from_the_same_encoder(demo):
    from stpn_core.weights import read_checkpoint

    out, _ = demo
    start = read_checkpoint(out / "start.safetensors").state
    assert all(key.startswith("encoder.") for key in start)
    assert (out / "twin" / "config.json").exists()
    assert (out / "stpn" / "config.json").exists()


def test_the_verdict_names_gains_and_losses():
    twin = {"clean": {"AP50": 0.9}, "severe": {"AP50": 0.2}}
    stpn = {"clean": {"AP50": 0.85}, "severe": {"AP50": 0.5}}
    off = {"clean": {"AP50": 0.85}, "severe": {"AP50": 0.3}}
    text = verdict(twin, stpn, off)
    assert "its twin, AP50: -5.0 on clean, +30.0 on severe" in text
    assert "against without: +0.0 on clean, +20.0 on severe" in text


def test_examples_are_chosen_by_degradation_alone(demo):
    from types import SimpleNamespace

    out, _ = demo
    index = open_dataset(out / "data", "val")
    severity = {i: (i % 6) / 5 for i in range(index.num_frames)}
    arm = SimpleNamespace(index=index, severity=severity)
    assert example_frames(arm) == [4, 10, 16, 22]
