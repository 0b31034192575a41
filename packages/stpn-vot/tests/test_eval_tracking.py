"""`stpn vot eval --weights`: a split tracked into files, gone on with, and measured."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from stpn_core.cli import main
from stpn_core.training import EvaluationStopped, World
from stpn_data.readers import open_dataset
from stpn_vot.evaluate import evaluate
from stpn_vot.model_file import load_trained
from stpn_vot.track_split import SplitSettings, track_split
from stpn_vot.tracking_config import TrackingConfig
from stpn_vot.weights import save_tracker

from .moving_square import got10k_tree, place
from .networks import TINY, tracker

ALONE = World(0, 1, 0, torch.device("cpu"))
NAMES = ("GOT-10k_Val_000001", "GOT-10k_Val_000002")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = got10k_tree(tmp_path_factory.mktemp("got10k"), "val", (5, 4))
    return got10k_tree(root, "test", (4,), labels=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tracker(path, tracker(TINY).state_dict(), TINY, "got10k")
    return path


def command(results: Path, data: Path, weights: Path, *more: str) -> int:
    return main(
        ["vot", "eval", str(results), "--data", str(data), "--weights", str(weights), *more]
    )


@pytest.fixture(scope="module")
def results(data, weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "ours"
    assert command(out, data, weights, "--out", str(out.parent / "numbers.json")) == 0
    return out


def box_file(results: Path, name: str) -> Path:
    return results / name / f"{name}_001.txt"


def bytes_of(results: Path) -> dict[str, bytes]:
    return {name: box_file(results, name).read_bytes() for name in NAMES}


def test_files_are_those_of_the_toolkit(results):
    for video, (name, frames) in enumerate(zip(NAMES, (5, 4), strict=True)):
        lines = box_file(results, name).read_text().splitlines()
        assert len(lines) == frames
        assert lines[0] == ",".join(f"{value:.3f}" for value in place(video, 0))
        assert all(len(part.split(".")[1]) == 3 for line in lines for part in line.split(","))
        seconds = (results / name / f"{name}_time.txt").read_text().splitlines()
        assert len(seconds) == frames
        assert all(float(value) > 0 and len(value.split(".")[1]) == 8 for value in seconds)


def test_the_numbers_are_those_of_the_model_up_to_the_digits_in_the_files(results, data, weights):
    numbers = json.loads((results.parent / "numbers.json").read_text())
    assert numbers["protocol"] == "got10k"
    assert numbers["trackers"]["box that never moves"]["got10k"]["frames"] == 7
    trained = load_trained(weights)
    direct = evaluate(trained.model, open_dataset(data, "val"), trained.tracking(), ALONE)
    assert numbers["trackers"]["ours"]["got10k"]["ao"] == pytest.approx(direct["AO"], abs=1e-3)


def test_the_record_says_what_made_them(results, weights):
    record = json.loads((results / "record.json").read_text())
    assert record["protocol"] == "got10k"
    assert record["weights"] == str(weights)
    assert record["settings"]["tracking"]["search_size"] == 96
    assert record["settings"]["int_boxes"] is False


def test_it_goes_on_with_what_is_missing_alone(results, data, weights, tmp_path):
    mine = tmp_path / "ours"
    shutil.copytree(results, mine)
    before = bytes_of(mine)
    box_file(mine, NAMES[1]).unlink()
    (mine / NAMES[0] / f"{NAMES[0]}_time.txt").write_text("1\n" * 5)  # stays if not tracked again
    assert command(mine, data, weights) == 0
    assert bytes_of(mine) == before
    assert (mine / NAMES[0] / f"{NAMES[0]}_time.txt").read_text() == "1\n" * 5


def test_results_of_other_settings_or_of_nobody_are_not_added_to(
    results, data, weights, tmp_path, capsys
):
    mine = tmp_path / "ours"
    shutil.copytree(results, mine)
    before = bytes_of(mine)
    assert command(mine, data, weights, "--int-boxes") == 2
    assert "int_boxes False instead of True" in capsys.readouterr().err
    other = tmp_path / "other.safetensors"
    save_tracker(other, tracker(TINY, seed=1).state_dict(), TINY, "got10k")
    assert command(mine, data, other) == 2
    assert "weights_sha256" in capsys.readouterr().err
    (mine / "record.json").unlink()
    assert command(mine, data, weights) == 2
    assert "no record.json" in capsys.readouterr().err
    assert bytes_of(mine) == before


def test_whole_pixels_are_cut_down(results, data, weights, tmp_path):
    out = tmp_path / "whole"
    assert command(out, data, weights, "--int-boxes") == 0
    ours, theirs = (np.loadtxt(box_file(r, NAMES[0]), delimiter=",") for r in (out, results))
    np.testing.assert_array_equal(ours[:2], np.trunc(theirs[:2]))  # later ones follow other floats
    assert "." not in box_file(out, NAMES[0]).read_text()


def test_a_stopped_run_keeps_whole_sequences_and_goes_on(data, weights, results, tmp_path):
    trained, index = load_trained(weights), open_dataset(data, "val")
    settings = SplitSettings(TrackingConfig())
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 7

    out = tmp_path / "ours"
    with pytest.raises(EvaluationStopped):
        track_split(trained, index, out, settings, ALONE, protocol="got10k", stop=stop)
    assert box_file(out, NAMES[0]).is_file()
    assert not box_file(out, NAMES[1]).exists()
    assert track_split(trained, index, out, settings, ALONE, protocol="got10k") == 1
    assert bytes_of(out) == bytes_of(results)


def test_frames_can_be_spoiled(data, weights, results, tmp_path):
    out = tmp_path / "dark"
    assert command(out, data, weights, "--degrade", "low_light") == 0
    assert bytes_of(out) != bytes_of(results)
    assert json.loads((out / "record.json").read_text())["settings"]["degrade"] == "low_light"


def test_a_split_without_labels_is_tracked_and_not_measured(data, weights, tmp_path, capsys):
    assert command(tmp_path / "ours", data, weights, "--split", "test") == 0
    assert "stpn vot submit" in capsys.readouterr().out
    lines = box_file(tmp_path / "ours", "GOT-10k_Test_000001").read_text().splitlines()
    assert len(lines) == 4
    without = ["vot", "eval", str(tmp_path / "ours"), "--data", str(data), "--split", "test"]
    assert main(without) == 2
    assert "no public labels" in capsys.readouterr().err


def test_a_part_of_a_split_and_data_without_label_files_are_measured_through_the_index(
    data, weights, results, tmp_path
):
    mine = tmp_path / "data"
    shutil.copytree(data, mine)
    for label in mine.glob("val/*/*.label"):
        label.unlink()
    out = tmp_path / "numbers.json"
    rest = ["--data", str(mine), "--out", str(out)]
    whole = json.loads((results.parent / "numbers.json").read_text())["trackers"]["ours"]
    assert main(["vot", "eval", str(results), *rest]) == 0
    found = json.loads(out.read_text())["trackers"]["ours"]["got10k"]
    assert found["ao"] == pytest.approx(whole["got10k"]["ao"], abs=1e-6)
    assert main(["vot", "eval", str(results), *rest, "--split", "val[50%:]"]) == 0
    assert json.loads(out.read_text())["trackers"]["ours"]["got10k"]["frames"] in (3, 4)


def test_protocols_are_never_mixed(results, data, tmp_path, capsys):
    theirs = tmp_path / "theirs"
    shutil.copytree(results, theirs)
    both = ["vot", "eval", str(results), str(theirs), "--data", str(data)]
    assert main(both) == 0
    said = capsys.readouterr().out
    assert "ours " in said
    assert "theirs " in said
    record = json.loads((theirs / "record.json").read_text())
    (theirs / "record.json").write_text(json.dumps(record | {"protocol": "full"}))
    assert main(both) == 2
    assert "full: theirs; got10k: ours" in capsys.readouterr().err
    (theirs / "record.json").unlink()
    assert main(both) == 2
    assert "--protocol" in capsys.readouterr().err
    assert main([*both, "--protocol", "got10k"]) == 0
    assert main([*both, "--protocol", "full"]) == 2


def test_a_damaged_record_is_named(results, data, tmp_path, capsys):
    mine = tmp_path / "ours"
    shutil.copytree(results, mine)
    alone = ["vot", "eval", str(mine), "--data", str(data)]
    assert main(alone) == 0
    for text in ("{", "[]", json.dumps({"format": "stpn-tracking-results", "version": 1})):
        (mine / "record.json").write_text(text)
        assert main(alone) == 2
        assert "record.json" in capsys.readouterr().err


@pytest.mark.parametrize("flag", [["--int-boxes"], ["--degrade", "blur"]])
def test_flags_of_tracking_need_weights(results, data, flag, capsys):
    assert main(["vot", "eval", str(results), "--data", str(data), *flag]) == 2
    assert "--weights" in capsys.readouterr().err


def test_settings_that_cannot_work_are_refused_before_anything_is_written(data, weights, tmp_path):
    assert command(tmp_path / "ours", data, weights, "--tracking.interval", "0") == 2
    assert not (tmp_path / "ours").exists()
    assert dataclasses.asdict(TrackingConfig())["interval"] == 10
