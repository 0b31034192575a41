"""Layouts of ground truth and of result files other than GOT-10k's, through the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_vot.metrics.ground_truth import read_ground_truth
from stpn_vot.metrics.one_pass import CONVENTIONS
from stpn_vot.metrics.result_files import read_results

from ..moving_square import paint, place


def rows(video: int, length: int, separator: str = ",") -> str:
    return "".join(separator.join(f"{v:g}" for v in place(video, t)) + "\n" for t in range(length))


@pytest.fixture
def otb(tmp_path: Path) -> Path:
    for name, file, text in (
        ("Walking", "groundtruth_rect.txt", rows(0, 6)),
        ("Jogging", "groundtruth_rect.1.txt", rows(1, 5, "\t")),
        ("Jogging", "groundtruth_rect.2.txt", rows(2, 5, " ")),
    ):
        (tmp_path / "otb" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "otb" / name / file).write_text(text)
    results = tmp_path / "results"
    (results / "times").mkdir(parents=True)
    for video, (name, length) in enumerate((("Walking", 6), ("Jogging.1", 5), ("Jogging.2", 5))):
        (results / f"{name}.txt").write_text(rows(video, length, "\t"))
        (results / "times" / f"{name}_time.txt").write_text("0.05\n" * length)
    return tmp_path


def test_otb_and_files_of_one_sequence_each(otb):
    truth = read_ground_truth(otb / "otb", "all")
    assert list(truth.sequences) == ["Jogging.1", "Jogging.2", "Walking"]
    assert (truth.layout, truth.visibility) == ("otb", False)
    np.testing.assert_array_equal(
        truth.sequences["Jogging.1"].boxes, [place(1, t) for t in range(5)]
    )
    tracked = read_results(otb / "results", truth)
    assert tracked["Walking"].boxes.shape == (1, 6, 4)
    assert tracked["Walking"].times is not None
    assert tracked["Walking"].times.shape == (6, 1)


def test_every_convention_is_named_in_what_is_printed_and_written(otb, capsys):
    out, plots = otb / "numbers.json", otb / "plots"
    flags = ["--data", str(otb / "otb"), "--out", str(out)]
    assert main(["vot", "eval", str(otb / "results"), *flags, "--plots", str(plots)]) == 0
    said = capsys.readouterr().out
    ours = json.loads(out.read_text())["trackers"]["results"]
    assert ours["got10k"] is None
    assert list(ours["one_pass"]) == [c.name for c in CONVENTIONS]
    for convention in CONVENTIONS:
        assert f"convention {convention.name}: " in said
        assert (plots / f"one_pass_{convention.name}.png").stat().st_size > 1000
        assert ours["one_pass"][convention.name]["op75"] == 1
    assert "SR0.75" not in said
    assert main(["vot", "eval", str(otb / "results"), *flags, "--metric", "all"]) == 0
    assert "SR0.75" in capsys.readouterr().out
    assert json.loads(out.read_text())["trackers"]["results"]["got10k"]["sr75"] == 1


def test_a_missing_sequence_is_named(otb, capsys):
    (otb / "results" / "Jogging.2.txt").unlink()
    with pytest.raises(InputError, match=r"Jogging\.2"):
        read_results(otb / "results", read_ground_truth(otb / "otb", "all"))


def test_lasot_says_what_is_visible(tmp_path, capsys):
    for video, name in enumerate(("cat-1", "dog-2")):
        folder = tmp_path / "lasot" / name.split("-")[0] / name
        paint(folder / "img", video, 5)
        (folder / "groundtruth.txt").write_text(rows(video, 5))
        (folder / "full_occlusion.txt").write_text("0,0,0,1,0\n")
        (folder / "out_of_view.txt").write_text("0,0,0,0,0\n")
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / f"{name}.txt").write_text(rows(video, 5))
    truth = read_ground_truth(tmp_path / "lasot", "all")
    assert (truth.layout, truth.visibility) == ("lasot", True)
    assert truth.sequences["cat-1"].cover.tolist() == [8, 8, 8, 0, 8]
    assert truth.sequences["dog-2"].object_class == "dog"
    out = tmp_path / "numbers.json"
    flags = ["--data", str(tmp_path / "lasot"), "--split", "all", "--out", str(out)]
    assert main(["vot", "eval", str(tmp_path / "results"), *flags, "--classes"]) == 0
    assert "each object class" in capsys.readouterr().out
    ours = json.loads(out.read_text())["trackers"]["results"]
    assert set(ours["classes"]) == {"cat", "dog"}
    assert ours["classes"]["cat"]["one_pass"]["mixformer"]["op50"] == pytest.approx(0.8)
    numbers = ours["one_pass"]
    assert numbers["toolkit"]["op50"] == 1
    assert numbers["pytracking"]["op50"] == pytest.approx(0.8)
    assert numbers["pytracking-excluded"]["op50"] == 1
