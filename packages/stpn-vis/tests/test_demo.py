from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace

import pytest
import torch

from stpn_core.weights import read_checkpoint
from stpn_data import open_dataset
from stpn_vis.arguments import DemoArguments
from stpn_vis.build import build_encoder
from stpn_vis.demo import run, setting
from stpn_vis.demo.pictures import example_frames
from stpn_vis.demo.report import verdict
from stpn_vis.demo.start import look_for_patterns
from stpn_vis.recipes import synthetic
from stpn_vis.start import starting_model

SMALL = (
    "--layout", "youtube_vis", "--videos", "4", "--val-videos", "4", "--frames", "4", "--size",
    "64x64", "--classes", "4", "--objects", "2-2", "--workers", "1",
)  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A demo of one step on a few small frames."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setting, "DATA", SMALL)
        patch.setattr(setting, "SIDE", 64)
        assert run(DemoArguments(out=out, steps=1)) == 0
        first = (out / "report.html").read_text()
        assert run(DemoArguments(out=out, steps=1)) == 0  # goes on where it was: nothing to train
    return out, first


def test_the_report_is_one_file_with_numbers_pictures_and_settings(demo):
    _, page = demo
    assert "STPN against its twin, mask AP50 frame by frame:" in page
    assert page.count("data:image/png;base64,") == 2 + 4 * 3  # plots, and frames three times each
    assert not re.search(r"(src|href)=\"https?:", page)
    for part in ("prompt-free twin", "prompts off", "prompt_aux", "torch", "clean", "whole videos"):
        assert part in page
    text = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_a_second_run_reports_the_same_numbers(demo):
    out, first = demo
    table = re.compile(r"<table>.*?</table>", re.DOTALL)
    assert table.search(first)[0] == table.search((out / "report.html").read_text())[0]


def test_twin_and_stpn_start_from_the_same_encoder(demo):
    out, _ = demo
    start = read_checkpoint(out / "start.safetensors").state
    arguments = DemoArguments(out=out, steps=1)
    recipe = setting.demo_recipe(out / "data", out / "start.safetensors", arguments)
    recipe = SimpleNamespace(**vars(recipe))
    index = open_dataset(out / "data", "train")
    recipe.model = dataclasses.replace(recipe.model, num_classes=len(index.classes))
    state = starting_model(recipe).state_dict()
    assert all(torch.equal(state[f"stpn.{name}"], value) for name, value in start.items())


def test_most_filters_of_the_start_are_blind_to_brightness():
    encoder = build_encoder(dataclasses.replace(synthetic().model, num_classes=3))
    (filters,) = (w for name, w in encoder.named_parameters() if "patch_embed.proj.w" in name)
    before = filters.detach().clone()
    look_for_patterns(encoder)
    grey = filters.sum(dim=(2, 3)).abs().amax(1)  # answer to a patch of one colour
    seeing = len(filters) // 4
    assert torch.equal(filters[:seeing], before[:seeing])
    assert (grey[seeing:] < 1e-5).all()
    assert (before.sum(dim=(2, 3)).abs().amax(1) > 1e-2).all()
    assert (filters[seeing:].std() > 2 * before.std()).all()


def test_the_verdict_names_gains_and_losses():
    def arm(clean: float, severe: float, whole: float) -> SimpleNamespace:
        bins = {"clean": {"AP50": clean}, "severe": {"AP50": severe}}
        return SimpleNamespace(by_frame=bins, whole={"AP50": whole})

    text = verdict(arm(0.9, 0.2, 0.5), arm(0.85, 0.5, 0.4), arm(0.85, 0.3, 0.1))
    assert "frame by frame: -5.0 on clean, +30.0 on severe; over whole videos: -10.0." in text
    assert "against without, frame by frame: +0.0 on clean, +20.0 on severe" in text


def test_examples_are_chosen_by_degradation_alone(painted):
    index = open_dataset(painted, "train")
    severity = [0.0, 0.1, 0.7, 0.9, 1.0, 0.2] + [0.3, 0.76, 0.1, 0.0, 1.0] + [1.0] * 6 + [0.0]
    arm = SimpleNamespace(index=index, severity=severity)
    assert example_frames(arm) == [2, 7, 11, 17]
