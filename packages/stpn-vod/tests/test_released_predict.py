"""Released checkpoints through the command line: `stpn convert`, then `stpn vod predict` on a folder
of frames gives the detections of the released implementation; so does the unconverted file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stpn_core.cli import main
from stpn_vod import network_input
from stpn_vod.weights import read_detector

CHECKPOINT = "golden/vod/g1_checkpoint_att.pth"
ORDER = ("in.ref.0", "in.img0", "in.img1", "in.ref.1")  # two frames spread over four: first, last
Paint = Callable[[Path], Path]


@pytest.fixture
def expected(golden) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return golden("vod/e1_stpn_detect")


@pytest.fixture
def walk(expected, tmp_path, monkeypatch) -> Path:
    """A folder of four frames of the original size.

    The released implementation was run on noise that no picture can hold, so each frame is painted
    with its number, and normalising gives the noise of that number: reading, resizing, padding,
    choice of support, boxes and their scale are those of any video.
    """
    tensors, description = expected
    refs = tensors["in.ref"]
    pixels = {"in.ref.0": refs[0], "in.ref.1": refs[1]} | {
        f"in.img{i}": tensors[f"in.img{i}"][0] for i in range(2)
    }
    height, width = description["metas"][0]["img_shape"][:2]
    for image in pixels.values():  # what lies beyond is the padding, which is not given
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()

    def normalise(image: Tensor) -> Tensor:
        assert image.shape == (3, height, width)
        assert image.unique().numel() == 1
        return pixels[ORDER[int(image[0, 0, 0]) // 10]][:, :height, :width]

    monkeypatch.setattr(network_input, "normalise", normalise)
    folder = tmp_path / "walk"
    folder.mkdir()
    shape = tuple(description["metas"][0]["ori_shape"][:2])
    for t in range(len(ORDER)):
        Image.fromarray(np.full((*shape, 3), 10 * t, np.uint8)).save(folder / f"{t}.png")
    return folder


def predicted(walk: Path, weights: Path, out: Path, expected, *flags: str) -> list[dict[str, Any]]:
    """The lines of `detections.jsonl`, with every box that is not dropped for its score."""
    height, width = expected[1]["metas"][0]["img_shape"][:2]
    command = [
        "vod", "predict", str(walk), "--weights", str(weights), "--out", str(out), "--no-video",
        "--short-side", str(height), "--long-side", str(width), "--score", "0", "--device", "cpu",
        "--policy", "uniform", "--count", "2", *flags,
    ]  # fmt: skip
    assert main(command) == 0
    return [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]


def agreement(row: dict[str, Any], classes: tuple[str, ...], expected, number: int) -> float:
    """Share of the expected detections of a frame with one of its own in `row`, as a set: within
    0.05 px and 1e-3 in score, same class; 0 if there are more or fewer."""
    tensors, _ = expected
    wanted = tensors[f"out.{number}.det_boxes_scores"]
    labels = tensors[f"out.{number}.det_labels"]
    things = row["objects"]
    if len(things) != len(wanted):
        return 0.0
    boxes = torch.tensor([thing["box"] for thing in things])
    scores = torch.tensor([thing["score"] for thing in things])
    named = torch.tensor([classes.index(thing["label"]) for thing in things])
    near = (boxes[:, None] - wanted[None, :, :4]).abs().amax(-1) <= 0.05
    near &= (scores[:, None] - wanted[None, :, 4]).abs() <= 1e-3
    near &= named[:, None] == labels[None]
    matched = 0
    for column in near.T:
        candidates = column.nonzero().squeeze(1)
        if len(candidates):
            matched += 1
            near[candidates[0]] = False
    return matched / len(wanted)


@pytest.mark.parametrize("form", ["converted", "as it is"])
def test_detections_are_those_of_the_released_implementation(
    shared, expected, walk, tmp_path, form, capsys
):
    weights = shared / CHECKPOINT
    if form == "converted":
        weights = tmp_path / "detector.safetensors"
        assert main(["convert", str(shared / CHECKPOINT), str(weights)]) == 0
        assert "converted by stpn-vod" in capsys.readouterr().out
    rows = predicted(walk, weights, tmp_path / "out", expected)
    classes = read_detector(weights).classes
    assert classes[0] == "airplane"
    assert classes[29] == "zebra"
    assert [row["prompted"] for row in rows] == [True] * 4
    assert [row["size"] for row in rows] == [[130, 90]] * 4
    for number in (0, 1):
        assert agreement(rows[1 + number], classes, expected, number) == 1.0
    # control: each frame has detections of its own
    assert agreement(rows[2], classes, expected, 0) < 0.5


@pytest.mark.parametrize(
    "changed",
    [
        {"pad_to": 32},
        {"prompt_merge": "aligned"},
        {"box_stds": (0.1, 0.1, 0.2, 0.2)},
        {"nms_iou": 0.6},
        {"test_proposals": 100},
        {"predictor": None},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_every_setting_that_the_file_does_not_hold_matters(
    shared, expected, walk, tmp_path, changed
):
    """Control: a detector with another one than conversion chose gives other detections."""
    import dataclasses

    from stpn_vod.weights import save_detector

    stored = read_detector(shared / CHECKPOINT)
    config = dataclasses.replace(stored.config, **changed)
    without = "stpn.predictor." if "predictor" in changed else "no such prefix"
    state = {key: value for key, value in stored.state.items() if not key.startswith(without)}
    save_detector(tmp_path / "other.safetensors", state, config, stored.classes)
    rows = predicted(walk, tmp_path / "other.safetensors", tmp_path / "out", expected)
    assert agreement(rows[1], stored.classes, expected, 0) < 1.0


def test_prompts_come_from_the_support_that_was_asked_for(shared, expected, walk, tmp_path):
    """Control: with support from the past alone the frame after the first has other prompts."""
    flags = "--policy", "online", "--stride", "1", "--no-cuts"
    rows = predicted(walk, shared / CHECKPOINT, tmp_path / "out", expected, *flags)
    classes = read_detector(shared / CHECKPOINT).classes
    assert agreement(rows[1], classes, expected, 0) < 1.0
