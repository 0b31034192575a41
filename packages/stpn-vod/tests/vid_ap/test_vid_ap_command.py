"""`stpn vod eval` prints every AP50 in one table and writes how each was made."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stpn_core.cli import main
from stpn_data.index import VideoIndex
from stpn_vod import eval_command
from stpn_vod.evaluate import frames_to_test, ground_truth
from stpn_vod.vid_ap import FGFA, MEGA, ap50, vid_truth


@pytest.fixture
def command(trained: Path, shapes: Path) -> list[str]:
    return ["vod", "eval", str(trained), "--data", str(shapes), "--short-side", "64"]


def rows(printed: str) -> dict[str, list[str]]:
    """The AP50 table: cells by the name of the lineage."""
    lines = iter(printed.splitlines())
    next(line for line in lines if line.startswith("AP50 "))
    return {words[0]: words[1:] for words in map(str.split, lines) if words}


def say(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def detect_all(model: Any, index: VideoIndex, config: Any, *rest: Any, **options: Any) -> Any:
        return answer(index, config.every)

    monkeypatch.setattr(eval_command, "detect_all", detect_all)


def test_a_real_detector(command, tmp_path, capsys):
    assert main([*command, "--out", str(tmp_path / "report.json")]) == 0
    table = rows(capsys.readouterr().out)
    assert list(table) == ["COCO", "MEGA", "VFE", "FGFA"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["ap50"]["COCO"]["values"]["AP50"] == report["all"]["AP50"]
    assert report["ap50"]["MEGA"]["quirks"] == list(MEGA.quirks)
    assert report["ap50"]["FGFA"]["comparable_with"] == FGFA.comparable_with
    for name, cells in table.items():
        values = report["ap50"][name]["values"]
        assert cells[0] == f"{100 * values['AP50']:.1f}"
        assert ("AP50/fast" in values) == (name != "COCO")


@pytest.mark.parametrize("every", [1, 3])
def test_the_truth_is_perfect_by_every_definition(command, capsys, monkeypatch, every):
    say(monkeypatch, ground_truth)
    assert main([*command, "--every", str(every)]) == 0
    for name, cells in rows(capsys.readouterr().out).items():
        assert cells[0] == "100.0", name
        assert set(cells[1:4]) <= {"100.0", "-"}, name


def test_shifted_boxes_are_told_apart_by_the_definitions(
    command, shapes, tmp_path, capsys, monkeypatch
):
    """The numbers printed are those of the evaluators on the same rows."""

    def shifted(index: VideoIndex, every: int) -> Any:
        truth = ground_truth(index, every)
        shift = (truth.boxes[:, 2:] - truth.boxes[:, :2]) * np.array(
            [0.335, 0.0]
        )  # IoU just below one half
        return dataclasses.replace(truth, boxes=truth.boxes + np.tile(shift, 2))

    say(monkeypatch, shifted)
    assert main([*command, "--every", "2", "--out", str(tmp_path / "r.json")]) == 0
    index = eval_command.open_dataset(shapes, "val")
    truth = vid_truth(index, frames_to_test(index, 2))
    report = json.loads((tmp_path / "r.json").read_text())
    want: dict[str, dict[str, float]] = {}
    for metric in ap50(truth, shifted(index, 2), index.classes, report["all"]["AP50"]):
        want.setdefault(metric.lineage.name, {})[metric.name] = metric.value
    assert {name: entry["values"] for name, entry in report["ap50"].items()} == want
    assert len({round(values["AP50"], 3) for values in want.values()}) > 1


def test_data_without_tracks_has_no_groups_and_says_so(command, capsys, monkeypatch):
    say(monkeypatch, ground_truth)
    assert main(command) == 0
    assert "they need a track" not in capsys.readouterr().out
    opened = eval_command.open_dataset

    def without_tracks(*args: Any, **options: Any) -> VideoIndex:
        index = opened(*args, **options)
        return dataclasses.replace(index, tracks=np.full_like(index.tracks, -1))

    monkeypatch.setattr(eval_command, "open_dataset", without_tracks)
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "they need a track for every annotated box" in printed
    assert rows(printed)["MEGA"][:4] == ["100.0", "-", "-", "-"]
