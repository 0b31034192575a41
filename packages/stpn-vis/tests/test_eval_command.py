from __future__ import annotations

import json

import pytest

from stpn_core.cli import main

FLAGS = ["--short-side", "48", "--long-side", "64", "--count", "2", "--policy", "window"]


def test_a_table_and_numbers(trained, painted, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    command = ["vis", "eval", str(trained), "--data", str(painted), "--out", str(out), *FLAGS]
    assert main(command) == 0
    report = json.loads(out.read_text())
    assert (report["videos"], report["frames"]) == (2, 5)
    assert set(report["AP by class"]) == {"disc", "square"}
    assert len(report["all"]) == 12
    logged = json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])
    assert report["eval"]["count"] == 2
    assert logged["val/AP"] >= 0
    said = capsys.readouterr().out
    assert "all frames" in said
    assert "AP50" in said


def test_a_part_of_a_split_and_a_degradation(trained, painted, tmp_path):
    out = tmp_path / "numbers.json"
    flags = ["--split", "train[50%:]", "--degrade", "occlusion:0.5", "--out", str(out), *FLAGS]
    assert main(["vis", "eval", str(trained), "--data", str(painted), *flags]) == 0
    assert json.loads(out.read_text())["videos"] == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--degrade", "fog"], "fog: expected"),
        (["--degrade", "blur:2"], "blur:2: expected"),
        (["--out", "no/where.json"], "there is no folder no"),
        (["--top", "0"], "top: must be 1 or more"),
        (["--split", "test"], "test"),
        (["--by-severity"], "synthetic.json"),
    ],
)
def test_bad_input_exits_2(trained, painted, flags, said, capsys):
    assert main(["vis", "eval", str(trained), "--data", str(painted), *flags]) == 2
    assert said in capsys.readouterr().err


def test_other_classes_are_refused(trained, painted, tmp_path, capsys):
    text = (painted / "valid.json").read_text()
    (tmp_path / "valid").symlink_to(painted / "valid")
    for name, said in (("circle", "'disc'"), ("square", "twice")):
        (tmp_path / "valid.json").write_text(text.replace('"disc"', f'"{name}"'))
        assert main(["vis", "eval", str(trained), "--data", str(tmp_path)]) == 2
        assert said in capsys.readouterr().err
