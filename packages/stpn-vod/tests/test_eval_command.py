from __future__ import annotations

import json
import shutil

import pytest

from stpn_core.cli import main
from stpn_vod import eval_command

SMALL = ["--short-side", "64", "--long-side", "64", "--batch-size", "8"]


def run(trained, data, *flags: str) -> int:
    return main(["vod", "eval", str(trained), "--data", str(data), *SMALL, *flags])


def test_a_table_and_a_file(trained, shapes, tmp_path, capsys):
    assert run(trained, shapes, "--by-severity", "--out", str(tmp_path / "numbers.json")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(str(trained))
    assert said[1].split() == ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"]
    assert said[2].startswith("all frames")
    report = json.loads((tmp_path / "numbers.json").read_text())
    assert report["frames"] == 16
    assert set(report["all"]) >= {"AP", "AP50", "AP/checks", "AP/dots", "AP/stripes"}
    assert report["eval"]["short_side"] == 64
    assert sum(group["frames"] for group in report["by_severity"].values()) == 16
    bins = report["by_severity"]
    assert {line.split()[0] for line in said[3 : 3 + len(bins)]} == set(bins)


def test_every_second_frame_of_spoiled_video(trained, shapes, tmp_path):
    out = tmp_path / "numbers.json"
    flags = ["--every", "2", "--degrade", "noise:0.5", "--precision", "bf16", "--out", str(out)]
    assert run(trained, shapes, *flags) == 0
    report = json.loads(out.read_text())
    assert (report["frames"], report["degrade"]) == (8, "noise:0.5")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--degrade", "fog"], "one of blur"),
        (["--degrade", "noise:2"], "severity from 0 to 1"),
        (["--degrade", "noise:much"], "severity from 0 to 1"),
        (["--out", "nowhere/numbers.json"], "no folder nowhere"),
        (["--every", "0"], "every: must be 1 or more"),
        (["--split", "test"], "test"),
        (["--device", "tpu"], "device 'tpu'"),
    ],
)
def test_what_cannot_work_is_said_before_evaluating(
    trained, shapes, flags, said, capsys, monkeypatch
):
    monkeypatch.setattr(eval_command, "detect_all", None)
    assert run(trained, shapes, *flags) == 2
    assert said in capsys.readouterr().err


def test_other_classes_are_refused(trained, shapes, shared, tmp_path, capsys):
    assert run(trained, shared / "data" / "vid_wnid") == 2
    assert "3 classes" in capsys.readouterr().err
    video = sorted((shapes / "Data" / "VID" / "val").iterdir())[0]
    shutil.copytree(video, tmp_path / "val" / "street")
    (tmp_path / "val" / "street.csv").write_text("frame,x1,y1,x2,y2,label\n000000,5,5,40,40,dots\n")
    (tmp_path / "classes.txt").write_text("dots\nchecks\nstripes\n")
    assert run(trained, tmp_path) == 2
    assert "says 'checks'" in capsys.readouterr().err


def test_nothing_annotated_gives_dashes(trained, shapes, tmp_path, capsys):
    video = sorted((shapes / "Data" / "VID" / "val").iterdir())[0]
    shutil.copytree(video, tmp_path / "val" / "street")
    (tmp_path / "val" / "street.jsonl").write_text(
        "".join(json.dumps({"frame": t, "boxes": [], "labels": []}) + "\n" for t in range(8))
    )
    (tmp_path / "classes.txt").write_text("checks\ndots\nstripes\n")
    assert run(trained, tmp_path, "--out", str(tmp_path / "numbers.json")) == 0
    assert capsys.readouterr().out.splitlines()[2].split()[2:] == ["-"] * 7
    assert set(json.loads((tmp_path / "numbers.json").read_text())["all"].values()) == {-1.0}
