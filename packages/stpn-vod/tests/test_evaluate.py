from __future__ import annotations

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stpn_core.cli import main
from stpn_core.training import EvaluationStopped, World
from stpn_data.degrade import Condition
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex, concat
from stpn_data.readers import open_dataset
from stpn_vod import evaluate as module
from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.config import EvalConfig
from stpn_vod.detections import Detections
from stpn_vod.evaluate import (
    detect_all,
    evaluate,
    frames_to_test,
    ground_truth,
)

ALONE = World(0, 1, 0, torch.device("cpu"))
CONFIG = EvalConfig(
    short_side=64, long_side=64, policy="window", count=4, stride=2, batch_size=3
)  # fmt: skip


@pytest.fixture(scope="module")
def index(shapes: Path) -> VideoIndex:
    return open_dataset(shapes, "val")


@pytest.fixture(scope="module")
def found(detector, index) -> FrameBoxes:
    return detect_all(detector.model, index, CONFIG, ALONE)


def say(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """Have the detector say `answer(frame)` = (boxes, scores, labels)."""

    def sequence(model: Any, video: Any, policy: Any, **options: Any) -> Iterator[Any]:
        for frame in video.frames():
            boxes, scores, labels = answer(frame)
            yield (
                frame,
                Detections(
                    torch.tensor(np.asarray(boxes, np.float32).reshape(-1, 4)),
                    torch.tensor(scores, dtype=torch.float32),
                    torch.tensor(labels, dtype=torch.int64),
                ),
            )

    monkeypatch.setattr(module, "detect_sequence", sequence)


def truth_of(frame: Any) -> Any:
    boxes = frame.annotation
    return boxes.boxes, [0.9] * len(boxes.boxes), boxes.labels.tolist()


def test_saying_the_truth_is_perfect_and_leaving_one_out_is_not(detector, index, monkeypatch):
    say(monkeypatch, truth_of)
    numbers = evaluate(detector.model, index, CONFIG, ALONE)
    assert numbers["AP"] == numbers["AP50"] == numbers["AR100"] == 1.0
    say(monkeypatch, lambda f: ([], [], []) if f.t == 3 and f.video == 0 else truth_of(f))
    assert evaluate(detector.model, index, CONFIG, ALONE)["AP"] < 1.0


def test_a_case_computed_by_hand(detector, index, monkeypatch):
    """Frame 1's object is found first, then a false alarm on frame 2, then frame 0's object: precision
    1 up to recall 1/n, 2/3 up to 2/n, 0 beyond."""
    frames = index.frames_of(0)
    label = int(index.boxes_of(frames[0]).labels[0])

    def answer(frame: Any) -> Any:
        if frame.video != 0 or frame.t > 2:
            return [], [], []
        box = frame.annotation.boxes[frame.annotation.labels == label][:1]
        if frame.t == 2:
            box = np.array([[0.0, 0, 1, 1]])
        return box, [(0.5, 0.9, 0.7)[frame.t]], [label]

    say(monkeypatch, answer)
    numbers = evaluate(detector.model, index, CONFIG, ALONE)
    total = int((ground_truth(index).labels == label).sum())
    recalls = np.linspace(0, 1, 101)
    precision = np.where(recalls <= 1 / total, 1.0, np.where(recalls <= 2 / total, 2 / 3, 0.0))
    assert numbers[f"AP/{index.classes[label]}"] == pytest.approx(precision.mean(), abs=1e-9)


def test_rows_are_in_order_of_frames_in_pixels_of_the_file(found, index):
    assert (np.diff(found.frames) >= 0).all()
    assert set(found.frames.tolist()) <= set(range(index.num_frames))
    assert len(found) > index.num_frames
    assert found.boxes.min() >= 0
    assert found.boxes.max() <= 64


def test_batches_change_nothing_but_rounding(detector, index, answered, found):
    one = detect_all(detector.model, index, dataclasses.replace(CONFIG, batch_size=1), ALONE)
    assert len(one) == len(found)
    for frame in set(found.frames.tolist()):
        a, b = found.take(found.frames == frame), one.take(one.frames == frame)
        a, b = a.take(np.argsort(-a.scores)), b.take(np.argsort(-b.scores))
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-5)
    truth = ground_truth(answered)
    numbers = [dict(module.coco_ap(truth, x, index.classes)) for x in (one, found)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-9)
    assert 0.05 < numbers[0]["AP"] < 0.95


def test_the_order_of_videos_changes_nothing(detector, shapes, answered):
    train = open_dataset(shapes, "train")
    one = evaluate(detector.model, concat([answered, train]), CONFIG, ALONE)
    other = evaluate(detector.model, concat([train, answered]), CONFIG, ALONE)
    assert one == other
    assert one != evaluate(detector.model, answered, CONFIG, ALONE)
    assert one["AP"] > 0.05


@pytest.mark.parametrize("policy", ["uniform", "online", "window"])
def test_every_policy_answers_every_frame_and_prompts_matter(detector, index, policy, found):
    config = dataclasses.replace(CONFIG, policy=policy, count=40)  # more than the video has
    ours = detect_all(detector.model, index, config, ALONE)
    assert set(ours.frames.tolist()) == set(range(index.num_frames))
    assert not np.array_equal(ours.scores, found.scores)


def test_degradations_are_applied(detector, index, found):
    clean = detect_all(detector.model, index, CONFIG, ALONE, degrade=Condition("clean", 0.0))
    np.testing.assert_array_equal(clean.scores, found.scores)
    noisy = detect_all(detector.model, index, CONFIG, ALONE, degrade=Condition("noise", 1.0))
    assert not np.array_equal(noisy.scores, found.scores)


def test_every_second_frame(detector, index, found):
    config = dataclasses.replace(CONFIG, every=2)
    ours = detect_all(detector.model, index, config, ALONE)
    assert set(ours.frames.tolist()) == set(frames_to_test(index, 2).tolist())
    assert set(ground_truth(index, 2).frames.tolist()) <= set(ours.frames.tolist())
    some = found.take(np.isin(found.frames, frames_to_test(index, 2)))
    np.testing.assert_allclose(np.sort(ours.scores), np.sort(some.scores), atol=1e-5)


def test_training_mode_is_put_back(detector, index):
    detector.model.train()
    try:
        evaluate(detector.model, index, dataclasses.replace(CONFIG, every=8), ALONE)
        assert detector.model.training
    finally:
        detector.model.eval()


def test_it_stops_when_asked(detector, index):
    asked: list[int] = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 5

    with pytest.raises(EvaluationStopped):
        detect_all(detector.model, index, CONFIG, ALONE, stop=stop)
    assert len(asked) == 5


@pytest.fixture
def with_gaps(shapes: Path, tmp_path: Path) -> Path:
    """The data without the first, a middle and the last frame of a validation video."""
    shutil.copytree(shapes, tmp_path / "gaps")
    video = sorted((tmp_path / "gaps" / "Data" / "VID" / "val").iterdir())[0]
    frames = sorted(video.iterdir())
    for frame in (frames[0], frames[4], frames[-1]):
        frame.unlink()
    return tmp_path / "gaps"


def test_missing_frames_are_refused_or_left_out_and_shift_nothing(
    detector, with_gaps, index, monkeypatch
):
    gaps = open_dataset(with_gaps, "val")
    with pytest.raises(DataError, match=r"3 of 16 frames have no image file.*000000"):
        detect_all(detector.model, gaps, CONFIG, ALONE)
    config = dataclasses.replace(CONFIG, allow_missing=True)
    ours = detect_all(detector.model, gaps, config, ALONE)
    assert set(range(16)) - set(ours.frames.tolist()) == {0, 4, 7}
    assert set(ground_truth(gaps).frames.tolist()).isdisjoint({0, 4, 7})
    say(monkeypatch, lambda frame: truth_of(frame))
    assert evaluate(detector.model, gaps, config, ALONE)["AP"] == 1.0


def test_the_command_refuses_missing_frames_with_2(trained, with_gaps, capsys):
    command = ["vod", "eval", str(trained), "--data", str(with_gaps), "--short-side", "64"]
    assert main(command) == 2
    assert "--allow-missing" in capsys.readouterr().err
    assert main([*command, "--allow-missing"]) == 0


def test_training_leaves_out_clips_with_missing_frames_and_counts_them(with_gaps, tmp_path, caplog):
    from stpn_core.testing.runs import lines
    from stpn_vod.train import train

    from .conftest import tiny_recipe

    video = sorted((with_gaps / "Data" / "VID" / "train").rglob("*.JPEG"))
    for frame in video[::3]:
        frame.unlink()
    recipe = tiny_recipe(with_gaps)
    with pytest.raises(Exception, match="3 of 16 frames have no image file"):
        train(recipe, tmp_path / "refused")
    recipe = dataclasses.replace(recipe, eval=dataclasses.replace(recipe.eval, allow_missing=True))
    assert train(recipe, tmp_path / "run") == 0
    counts = [count for _, count in lines(tmp_path / "run", "skipped_clips")]
    assert counts[-1] > 0
    assert counts == sorted(counts)
    named = [text for text in caplog.messages if text.startswith("left out: unreadable: ")]
    assert len(named) == min(5, counts[-1])


def test_only_annotated_frames_are_tested(detector, shapes, tmp_path):
    """One's own data, where a file of boxes names three of eight frames; one has no object."""
    frames = sorted((shapes / "Data" / "VID" / "val").iterdir())[0]
    shutil.copytree(frames, tmp_path / "own" / "val" / "street")
    rows = ["frame,x1,y1,x2,y2,label", "000001,5,5,40,40,a", "000004,5,5,40,40,b"]
    (tmp_path / "own" / "val" / "street.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "own" / "classes.txt").write_text("a\nb\nc\n")
    own = open_dataset(tmp_path / "own", "val")
    ours = detect_all(detector.model, own, CONFIG, ALONE)
    assert set(ours.frames.tolist()) == {1, 4}


@pytest.mark.parametrize("empty", ["predictions", "annotations", "both"])
def test_empty_is_legal(detector, shapes, index, tmp_path, capsys, monkeypatch, empty):
    """Nothing found, nothing annotated, neither: numbers are valid, the report holds no NaN."""
    if empty != "annotations":
        say(monkeypatch, lambda frame: ([], [], []))
    if empty != "predictions":
        nothing = np.zeros(index.num_frames + 1, np.int64)
        index = dataclasses.replace(
            index, box_start=nothing, boxes=index.boxes[:0], labels=index.labels[:0]
        )
    numbers = evaluate(detector.model, index, CONFIG, ALONE)
    expected = 0.0 if empty == "predictions" else -1.0
    assert numbers["AP"] == numbers["AP50"] == numbers["AR100"] == expected
    assert all(math.isfinite(value) for value in numbers.values())
    json.loads(json.dumps(numbers, allow_nan=False))
