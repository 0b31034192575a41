from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.hub import record_of
from stpn_core.runs import RunDir, read_best
from stpn_core.settings import from_json
from stpn_core.testing.fake_hub import FakeHub, FakeRepository, fake_hub, point_at
from stpn_core.weights import save_weights
from stpn_data.video_write import write_video
from stpn_vod.config import Recipe
from stpn_vod.hub import from_pretrained, push_to_hub, save_pretrained
from stpn_vod.model_file import TrainedDetector, load_trained
from stpn_vod.weights import read_detector

from .test_stream import scene

FILES = ["README.md", "config.json", "model.safetensors"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(first: TrainedDetector, second: TrainedDetector) -> bool:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    return (
        (first.config, first.classes) == (second.config, second.classes)
        and ours.keys() == theirs.keys()
        and all(torch.equal(ours[key], theirs[key]) for key in ours)
    )


@pytest.fixture(scope="module")
def saved(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pretrained(trained, tmp_path_factory.mktemp("saved") / "mine", licence="mit")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        point_at(hub.url, tmp_path / "cache", monkeypatch)
        yield hub


def test_a_run_becomes_a_folder_that_loads_as_the_run_does(trained, saved):
    assert names_in(saved) == [*FILES[:2], "model.safetensors", "recipe.json"]
    for place in (saved, saved / "model.safetensors"):
        assert same(from_pretrained(place), load_trained(trained))
    assert same(load_trained(saved), load_trained(trained))


def test_the_card_has_the_numbers_of_these_weights(trained, saved):
    best = read_best(RunDir(trained))
    assert best is not None
    record = record_of(load_trained(trained).source)
    assert record is not None
    assert (record.step, record.scores["AP"]) == (best.step, pytest.approx(best.value))
    card = (saved / "README.md").read_text()
    assert "license: mit\n" in card
    assert f"| step of these weights | {best.step} |" in card
    rows = dict(re.findall(r"^\| (A[PR][\w/]*) \| (-?[\d.]+) \|$", card, re.M))
    known = {name: value for name, value in record.scores.items() if value >= 0}
    assert rows == {name: f"{value:.4f}" for name, value in known.items()}
    assert len(rows) >= 3
    assert "support policy window" in card
    assert "3 classes: " in card


def test_the_recipe_is_exact_but_for_places(trained, saved, shapes):
    run = json.loads((trained / "config.json").read_text())
    recipe = json.loads((saved / "recipe.json").read_text())
    assert run["data"]["root"] == str(shapes)
    assert recipe == {**run, "data": {**run["data"], "root": "shapes"}}
    from_json(Recipe, (saved / "recipe.json").read_text())  # `stpn vod train` takes it
    for name in ("README.md", "config.json", "recipe.json"):
        assert str(shapes.parent) not in (saved / name).read_text()


def test_a_detector_in_memory_has_its_run_s_record_while_it_is_unchanged(
    trained, detector, tmp_path
):
    save_pretrained(load_trained(trained), tmp_path / "unchanged")
    assert "recipe.json" in names_in(tmp_path / "unchanged")
    save_pretrained(detector, tmp_path / "changed")  # its predictor is another one now
    assert names_in(tmp_path / "changed") == FILES
    assert same(load_trained(tmp_path / "changed"), detector)
    assert "record of the training is not part" in (tmp_path / "changed/README.md").read_text()


def test_a_weights_file_alone(twin_detector, tmp_path):
    save_pretrained(twin_detector.source, tmp_path / "twin")
    assert names_in(tmp_path / "twin") == FILES
    assert same(load_trained(tmp_path / "twin"), twin_detector)
    card = (tmp_path / "twin/README.md").read_text()
    assert "without prompts" in card
    assert "license: unknown" in card


def test_class_names_that_nobody_gave_are_not_made_up(detector, tmp_path):
    numbered = TrainedDetector(
        detector.model, detector.config, ("class 0", "class 1", "class 2"), tmp_path / "x"
    )
    save_pretrained(numbered, tmp_path / "out")
    assert read_detector(tmp_path / "out" / "model.safetensors").classes == ()
    assert load_trained(tmp_path / "out").classes == numbered.classes


def test_the_lines_of_the_card_work(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(saved.parent)
    write_video(tmp_path / "street.mp4", scene(3, seed=1), fps=10)
    card = (saved / "README.md").read_text()
    (python,) = re.findall(r"```python\n(.*?)```", card, re.S)
    exec(python.replace("street.mp4", str(tmp_path / "street.mp4")), {})
    assert capsys.readouterr().out.count("Detections(") == 3
    assert len([line for line in python.splitlines() if line]) == 5
    (command,) = re.findall(r"```\nstpn (.*)\n```", card)
    words = command.replace("VIDEO", str(tmp_path / "street.mp4")).split()
    words[words.index("FOLDER")] = str(tmp_path / "out")
    assert main([*words, "--short-side", "32"]) == 0
    assert (tmp_path / "out" / "annotated.mp4").is_file()


def test_to_the_hub_and_back(hub, trained, tmp_path, capsys):
    assert push_to_hub(trained, "me/toy", token=hub.token, licence="mit") == f"{hub.url}/me/toy"
    repository = hub.repositories["me/toy"]
    assert repository.private
    held = repository.commits[repository.branches["main"]]
    assert set(held) == {*FILES, "recipe.json", ".gitattributes"}
    card = held["README.md"].decode()
    assert "--weights hf://me/toy --out" in card
    assert 'from_pretrained("me/toy")' in card
    repository.private = False
    for name in ("me/toy", "hf://me/toy", "hf://me/toy@main"):
        assert same(from_pretrained(name), load_trained(trained))
    assert same(from_pretrained("me/toy", revision="main"), load_trained(trained))
    write_video(tmp_path / "clip.mp4", scene(2, seed=1), fps=10)
    flags = ["--out", str(tmp_path / "out"), "--short-side", "32", "--no-video"]
    command = ["vod", "predict", str(tmp_path / "clip.mp4"), "--weights", "hf://me/toy"]
    assert main([*command, *flags]) == 0
    assert len((tmp_path / "out" / "detections.jsonl").read_text().splitlines()) == 2


def test_a_saved_folder_goes_up_as_it_is(hub, trained, tmp_path):
    mine = save_pretrained(trained, tmp_path / "mine", repository="me/toy")
    assert 'from_pretrained("me/toy")' in (mine / "README.md").read_text()
    (mine / "README.md").write_text("# My own words\n")
    (mine / "notes.txt").write_text("private")
    push_to_hub(mine, "me/toy", token=hub.token)
    repository = hub.repositories["me/toy"]
    held = repository.commits[repository.branches["main"]]
    assert set(held) == {*FILES, "recipe.json", ".gitattributes"}
    for name in (*FILES, "recipe.json"):
        assert held[name] == (mine / name).read_bytes()
    with pytest.raises(InputError, match=r"write the licence into .*README\.md"):
        push_to_hub(mine, "me/toy", token=hub.token, licence="mit")
    (mine / "model.safetensors").write_bytes(b"<html>")
    with pytest.raises(InputError, match="a web page"):
        push_to_hub(mine, "me/toy", token=hub.token)
    with pytest.raises(InputError, match="which is owner/name"):
        save_pretrained(trained, tmp_path / "other", repository="toy")
    assert len(repository.commits) == 2


def test_the_commands(hub, trained, tmp_path, capsys, monkeypatch):
    out = str(tmp_path / "mine")
    assert main(["vod", "save", str(trained), out, "--license", "cc-by-4.0"]) == 0
    assert "license: cc-by-4.0" in (tmp_path / "mine/README.md").read_text()
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert main(["vod", "push", out, "me/new", "--public"]) == 0
    assert capsys.readouterr().out == f"{out}\n{hub.url}/me/new\n"
    assert not hub.repositories["me/new"].private
    commits = hub.repositories["me/new"].commits
    for argv, said in (
        (["save", str(trained), out], "is there already"),
        (["save", str(trained), str(tmp_path / "x"), "--license", "MIT"], "lower-case"),
        (["save", "runs/none", str(tmp_path / "x")], "runs/none: no such file"),
        (["push", str(trained), "toy"], "which is owner/name"),
        (["push", str(trained), "me/new", "--license", "M I T"], "lower-case"),
        (["push", str(trained), "me/new", "--revision", "v9"], "no such branch"),
    ):
        assert main(["vod", *argv]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.delenv("HF_TOKEN")
    assert main(["vod", "push", str(trained), "me/new"]) == 2
    assert "hf auth login" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
    assert hub.repositories["me/new"].commits is commits
    assert len(commits) == 2


def test_a_mistyped_path_is_not_looked_for_on_the_hub(hub, trained, tmp_path, capsys):
    push_to_hub(trained, "runs/mine", token=hub.token, private=False)
    hub.requests.clear()
    argv = ["vod", "eval", "runs/mine", "--data", str(tmp_path)]
    assert main(argv) == 2
    assert "runs/mine: no such file" in capsys.readouterr().err
    assert hub.requests == []


def test_a_config_that_somebody_edited_is_refused(saved, tmp_path):
    copy = shutil.copytree(saved, tmp_path / "copy")
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"nms_iou": 0.5', '"nms_iou": 0.7'))
    with pytest.raises(InputError, match=r"model\.nms_iou: config\.json 0\.7, weights 0\.5"):
        from_pretrained(copy)
    (copy / "config.json").unlink()
    assert from_pretrained(copy).config.nms_iou == 0.5


def test_what_a_stranger_uploads_is_read_like_any_file_from_outside(hub, saved, tmp_path):
    config = (saved / "config.json").read_bytes()
    save_weights(tmp_path / "vis", {"w": torch.zeros(2)}, {"task": "vis", "config": "{}"})
    marker = tmp_path / "marker"
    for name, weights, said in (
        ("me/pickle", b"\x80\x02cos\nsystem\nU" + _short(f"touch {marker}") + b"\x85R.", "refused"),
        ("me/page", b"<html>", "a web page"),
        ("me/vis", (tmp_path / "vis").read_bytes(), "weights for the task 'vis'"),
        ("me/cut", (saved / "model.safetensors").read_bytes()[:-50], "cut off"),
    ):
        repository = hub.repositories[name] = FakeRepository()
        repository.commit({"config.json": config, "model.safetensors": weights})
        with pytest.raises(InputError, match=said):
            from_pretrained(name)
    assert not marker.exists()


def _short(text: str) -> bytes:
    """A short string as a pickle writes it."""
    return bytes([len(text)]) + text.encode()
