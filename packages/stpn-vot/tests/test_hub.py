from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stpn_core.cli import main
from stpn_core.runs import RunDir, read_best, weights_file
from stpn_core.testing.fake_hub import FakeHub, fake_hub, point_at
from stpn_data.video_write import write_video
from stpn_vot.hub import from_pretrained, push_to_hub, save_pretrained
from stpn_vot.model_file import TrainedTracker, load_trained
from stpn_vot.weights import read_tracker, save_tracker

FILES = ["README.md", "config.json", "model.safetensors", "recipe.json"]


def same(first: TrainedTracker, second: TrainedTracker) -> bool:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    return (
        (first.config, first.protocol) == (second.config, second.protocol)
        and ours.keys() == theirs.keys()
        and all(torch.equal(ours[key], theirs[key]) for key in ours)
    )


@pytest.fixture(scope="module")
def saved(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "mine"
    assert main(["vot", "save", str(trained), str(folder), "--license", "mit"]) == 0
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        point_at(hub.url, tmp_path / "cache", monkeypatch)
        yield hub


def test_a_run_becomes_a_folder_that_loads_as_the_run_does(trained, saved):
    assert sorted(path.name for path in saved.iterdir()) == FILES
    for place in (saved, saved / "model.safetensors"):
        assert same(from_pretrained(place), load_trained(trained))


def test_the_card_has_the_numbers_of_these_weights(trained, saved, squares):
    best = read_best(RunDir(trained))
    assert best is not None
    card = (saved / "README.md").read_text()
    assert f"| step of these weights | {best.step} |" in card
    assert dict(re.findall(r"^\| (AO) \| ([\d.]+) \|$", card, re.M)) == {"AO": f"{best.value:.4f}"}
    assert "MixFormer on `cvt`" in card
    for name in ("README.md", "recipe.json"):
        assert str(squares.parent) not in (saved / name).read_text()


@pytest.mark.parametrize(("protocol", "said"), [("full", "more than"), ("got10k", "split alone")])
def test_the_protocol_stays_with_the_weights(trained, tmp_path, protocol, said):
    stored = read_tracker(weights_file(trained))
    save_tracker(tmp_path / "one.safetensors", stored.state, stored.config, protocol)
    save_pretrained(tmp_path / "one.safetensors", tmp_path / "saved")
    assert load_trained(tmp_path / "saved").protocol == protocol
    assert said in (tmp_path / "saved" / "README.md").read_text()
    save_pretrained(load_trained(tmp_path / "saved"), tmp_path / "again")  # from memory, too
    assert load_trained(tmp_path / "again").protocol == protocol


def test_the_lines_of_the_card_work(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(saved.parent)
    frames = [torch.full((3, 96, 128), 40 * t, dtype=torch.uint8) for t in range(3)]
    write_video(tmp_path / "street.mp4", frames, fps=10)
    card = (saved / "README.md").read_text()
    (python,) = re.findall(r"```python\n(.*?)```", card, re.S)
    lines = python.replace("street.mp4", str(tmp_path / "street.mp4"))
    exec(lines.replace("(100, 80, 40, 90)", "(20, 20, 30, 30)"), {})
    assert capsys.readouterr().out.count("TrackResult(") == 3
    (command,) = re.findall(r"```\nstpn (.*)\n```", card)
    command = command.replace("VIDEO", str(tmp_path / "street.mp4")).replace(
        "X,Y,W,H", "20,20,30,30"
    )
    assert main(command.replace("FOLDER", str(tmp_path / "out")).split()) == 0
    assert (tmp_path / "out" / "annotated.mp4").is_file()


def test_to_the_hub_and_back(hub, trained):
    assert push_to_hub(trained, "me/toy", token=hub.token) == f"{hub.url}/me/toy"
    repository = hub.repositories["me/toy"]
    assert repository.private
    held = repository.commits[repository.branches["main"]]
    assert set(held) == {*FILES, ".gitattributes"}
    assert json.loads(held["config.json"])["task"] == "vot"
    repository.private = False
    for name in ("me/toy", "hf://me/toy@main"):
        assert same(from_pretrained(name), load_trained(trained))
