"""`stpn vod explain` as a user calls it."""

from __future__ import annotations

import dataclasses
import html
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from stpn_core.cli import main
from stpn_core.errors import InputError, NumericsError
from stpn_core.explain import mass_pictures
from stpn_data.readers import open_dataset
from stpn_vod.arguments import ExplainArguments
from stpn_vod.build import build_detector
from stpn_vod.explain.command import explain, load_arms
from stpn_vod.explain.page import Page
from stpn_vod.explain.view import Arm
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.weights import save_detector

SMALL = ["--short-side", "64", "--long-side", "64", "--stride", "2", "--count", "4"]
SIZES: dict[str, Any] = {"short_side": 64, "long_side": 64, "stride": 2, "count": 4}


def run(source: object, out: Path, *flags: object) -> int:
    return main(["vod", "explain", str(source), "--out", str(out), *SMALL, *map(str, flags)])


def words(page: str) -> str:
    """The text of a page as a reader sees it."""
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(html.unescape(text).split())


def test_twin_and_stpn_side_by_side_in_one_file_and_again_the_same(
    trained: Path, twin_detector: TrainedDetector, shapes: Path, tmp_path: Path
) -> None:
    flags = ["--weights", trained, "--twin", twin_detector.source, "--split", "train"]
    flags += ["--frames", 2, "--boxes", 1, "--objects", 12]
    assert run(shapes, tmp_path / "a", *flags) == 0
    assert run(shapes, tmp_path / "b", *flags) == 0
    page = (tmp_path / "a" / "explain.html").read_text()
    assert page == (tmp_path / "b" / "explain.html").read_text()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["explain.html"]
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    # per frame: two detectors with three pictures each, the look and the blocks; then two plots
    assert page.count("data:image/jpeg") == 2 * (2 * 3 + 2)
    assert page.count("data:image/png") == 2
    text = words(page)
    assert "Looking inside: single-frame twin beside STPN" in text
    assert text.count("EigenCAM, cells of 8 pixels") == 4
    assert re.search(r"12 of \d+ \w+ boxes", text)
    assert re.search(
        r"single-frame twin STPN boxes cover (slow|medium|fast) \d+ % \d+ % \d+ %", text
    )
    assert "Where the prompts' queries attend" in text
    assert "looked at all that they see alike; mean of each block:" in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_a_bare_video_and_no_twin(trained: Path, shapes: Path, tmp_path: Path) -> None:
    video = sorted((shapes / "Data" / "VID" / "val").iterdir())[0]
    assert run(video, tmp_path, "--weights", trained, "--frames", 1) == 0
    text = words((tmp_path / "explain.html").read_text())
    assert "Looking inside: STPN, prompts off beside STPN" in text
    assert "has no annotated boxes, so there are no objects to lay out" in text
    assert "Where the prompts' queries attend" in text
    assert "annotated objects" not in text.split("3. Prompts")[1]


def test_a_single_frame_detector_alone(
    twin_detector: TrainedDetector, shapes: Path, tmp_path: Path
) -> None:
    flags = ["--weights", twin_detector.source, "--frames", 1, "--objects", 0]
    assert run(shapes, tmp_path, *flags) == 0
    text = words((tmp_path / "explain.html").read_text())
    assert "Looking inside: single-frame detector" in text
    assert "This model has no prompts" in text
    assert "Left out, as asked with --objects 0" in text


def page_of(detector: TrainedDetector, shapes: Path, tmp_path: Path, **changes: Any) -> Page:
    """The page for a detector of random weights that differs from `detector` by `changes`."""
    config = dataclasses.replace(detector.config, **changes)
    torch.manual_seed(0)
    path = tmp_path / "other.safetensors"
    save_detector(path, build_detector(config).state_dict(), config, detector.classes)
    arguments = ExplainArguments(
        input=str(shapes), weights=path, out=tmp_path, frames=1, boxes=1, objects=0, **SIZES
    )
    return explain(load_arms(arguments), open_dataset(shapes, "val"), arguments)


@pytest.mark.parametrize(
    ("name", "said", "looks"),
    [
        ("transformer", "Where the prompts' queries attend", True),
        ("average", "takes the tokens with the largest norm", True),
        ("mixer", "no prompt chooses where to look", False),
        ("static", "the same for every frame", False),
    ],
)
def test_every_predictor_gets_what_is_true_of_it(
    detector: TrainedDetector, shapes: Path, tmp_path: Path, name: str, said: str, looks: bool
) -> None:
    options = {"num_heads": 2} if name == "transformer" else {}
    page = page_of(
        detector, shapes, tmp_path, predictor=name, predictor_options=options, deep=False
    )
    assert said in page.prompts_note
    assert (page.frames[0].looks is not None) == looks
    assert page.frames[0].mass is not None
    assert page.mass_plot is not None


@pytest.mark.parametrize("predictor", [None, "attention"])
def test_selsa_is_explained_too(
    detector: TrainedDetector, shapes: Path, tmp_path: Path, predictor: str | None
) -> None:
    changes: dict[str, Any] = {"head": "selsa", "predictor": predictor}
    if predictor is None:
        changes["prompt_aux"] = 0.0
    page = page_of(detector, shapes, tmp_path, **changes)
    assert page.title.endswith("STPN with SELSA" if predictor else "SELSA")
    assert len(page.frames[0].columns) == (2 if predictor else 1)


def test_attention_that_cannot_be_read_leaves_a_sentence(
    detector: TrainedDetector, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("not this encoder")

    monkeypatch.setattr(mass_pictures, "prompt_mass", refuse)
    page = page_of(detector, shapes, tmp_path)
    assert page.mass_plot is None
    assert "not shown: not this encoder" in page.mass_note
    assert page.frames[0].mass is None


def test_weights_that_overflow_are_not_explained(
    detector: TrainedDetector, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = torch.full_like(detector.model.fpn.output[0].weight, 3e38)
    monkeypatch.setattr(detector.model.fpn.output[0].weight, "data", huge)
    arguments = ExplainArguments(
        input=str(shapes), weights=tmp_path, out=tmp_path, frames=1, objects=0, **SIZES
    )
    with pytest.raises(NumericsError, match="nothing to explain"):
        explain([Arm("STPN", detector)], open_dataset(shapes, "val"), arguments)


def test_too_few_objects_leave_a_sentence(trained: Path, shapes: Path, tmp_path: Path) -> None:
    arguments = ExplainArguments(
        input=str(shapes), weights=trained, out=tmp_path, frames=1, boxes=0, objects=3, **SIZES
    )
    page = explain(load_arms(arguments)[1:], open_dataset(shapes, "val"), arguments)
    assert page.objects.plot is None
    assert "Too few objects to lay out: " in page.objects.note


def test_no_support_no_prompts(trained: Path, shapes: Path, tmp_path: Path) -> None:
    index = open_dataset(shapes, "val")
    arguments = ExplainArguments(
        input=str(shapes), weights=trained, out=tmp_path, objects=0, policy="online",
        pick=(index.frame_name(0),), **SIZES,
    )  # fmt: skip
    page = explain(load_arms(arguments), index, arguments)
    assert "none has prompts" in page.prompts_note
    assert page.mass_plot is None


def test_without_scikit_learn_the_extra_is_named_first(
    trained: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert run(shapes, tmp_path, "--weights", trained) == 2
    assert "stpn-vod[explain]" in capsys.readouterr().err
    assert not (tmp_path / "explain.html").exists()
    assert run(shapes, tmp_path, "--weights", trained, "--objects", 0, "--frames", 1) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--frames", "0"], "frames: must be 1 or more"),
        (["--objects", "-1"], "objects: must be 0 or more"),
        (["--pick", "nowhere/7"], "--pick nowhere/7: no such frame"),
        (["--split", "test"], "test"),
        (["--twin", "nothing.safetensors"], "nothing.safetensors"),
    ],
)
def test_what_cannot_work_is_said(
    trained: Path, shapes: Path, tmp_path: Path, flags: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(shapes, tmp_path, "--weights", trained, *flags) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "explain.html").exists()


def test_detectors_of_other_classes_are_not_compared(
    trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = load_trained(trained)
    other = tmp_path / "other.safetensors"
    save_detector(other, mine.model.state_dict(), mine.config, ("a", "b", "c"))
    assert run(shapes, tmp_path, "--weights", trained, "--twin", other) == 2
    assert "cannot be compared" in capsys.readouterr().err
