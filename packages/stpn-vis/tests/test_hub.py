from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.runs import RunDir, read_best
from stpn_core.settings import from_json
from stpn_core.testing.fake_hub import FakeHub, fake_hub, point_at
from stpn_data.video_write import write_video
from stpn_vis.config import Recipe
from stpn_vis.hub import from_pretrained, push_to_hub, save_pretrained
from stpn_vis.model_file import TrainedSegmenter, load_trained
from stpn_vis.weights import read_segmenter

FILES = ["README.md", "config.json", "model.safetensors", "recipe.json"]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def same(first: TrainedSegmenter, second: TrainedSegmenter) -> bool:
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    return (
        (first.config, first.classes) == (second.config, second.classes)
        and ours.keys() == theirs.keys()
        and all(torch.equal(ours[key], theirs[key]) for key in ours)
    )


@pytest.fixture(scope="module")
def saved(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "mine"
    assert main(["vis", "save", str(trained), str(folder), "--license", "mit"]) == 0
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    frames = [torch.full((3, 48, 64), 40 * t, dtype=torch.uint8) for t in range(3)]
    write_video(tmp_path / "street.mp4", frames, fps=10)
    return tmp_path / "street.mp4"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with fake_hub() as hub:
        point_at(hub.url, tmp_path / "cache", monkeypatch)
        yield hub


def test_a_run_becomes_a_folder_that_loads_as_the_run_does(trained, saved):
    assert names_in(saved) == FILES
    for place in (saved, saved / "model.safetensors"):
        assert same(from_pretrained(place), load_trained(trained))


def test_the_card_has_the_numbers_of_these_weights(trained, saved):
    best = read_best(RunDir(trained))
    assert best is not None
    card = (saved / "README.md").read_text()
    assert "license: mit\n" in card
    assert 'pipeline_tag: "image-segmentation"\n' in card
    assert f"| step of these weights | {best.step} |" in card
    assert dict(re.findall(r"^\| (AP) \| ([\d.]+) \|$", card, re.M)) == {"AP": f"{best.value:.4f}"}
    assert "MinVIS (Mask2Former) on `swin` with 2 spatio-temporal prompts" in card
    assert "support policy window with 2 frames" in card
    assert "2 classes: disc, square." in card


def test_the_recipe_is_exact_but_for_places(trained, saved, painted):
    run = json.loads((trained / "config.json").read_text())
    recipe = json.loads((saved / "recipe.json").read_text())
    assert recipe == {**run, "data": {**run["data"], "root": "painted"}}
    from_json(Recipe, (saved / "recipe.json").read_text())  # `stpn vis train` takes it
    for name in ("README.md", "config.json", "recipe.json"):
        assert str(painted.parent) not in (saved / name).read_text()


def test_a_segmenter_that_changed_in_memory_has_no_record(trained, tmp_path):
    changed = load_trained(trained)
    save_pretrained(changed, tmp_path / "unchanged")
    assert names_in(tmp_path / "unchanged") == FILES
    changed.model.decoder.classifier.bias.data += 1
    save_pretrained(changed, tmp_path / "changed")
    assert names_in(tmp_path / "changed") == FILES[:3]
    assert same(load_trained(tmp_path / "changed"), changed)


def test_class_names_that_nobody_gave_are_not_made_up(segmenter, tmp_path):
    numbered = TrainedSegmenter(
        segmenter.model, segmenter.config, ("class 0", "class 1"), tmp_path / "x"
    )
    save_pretrained(numbered, tmp_path / "out")
    assert read_segmenter(tmp_path / "out" / "model.safetensors").classes == ()
    assert load_trained(tmp_path / "out").classes == numbered.classes


def test_a_configuration_that_was_edited_is_not_believed(saved, tmp_path):
    folder = save_pretrained(saved, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text())
    config["model"]["num_queries"] = 7
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"num_queries: config\.json 7, weights 5"):
        load_trained(folder)


def test_the_lines_of_the_card_work(saved, clip, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(saved.parent)
    card = (saved / "README.md").read_text()
    (python,) = re.findall(r"```python\n(.*?)```", card, re.S)
    exec(python.replace("street.mp4", str(clip)), {})
    assert capsys.readouterr().out.count("Instances(") == 3
    (command,) = re.findall(r"```\nstpn (.*)\n```", card)
    words = command.replace("VIDEO", str(clip)).split()
    words[words.index("FOLDER")] = str(tmp_path / "out")
    assert main([*words, "--short-side", "32"]) == 0
    assert (tmp_path / "out" / "annotated.mp4").is_file()


def test_to_the_hub_and_back(hub, trained, clip, tmp_path):
    assert push_to_hub(trained, "me/toy", token=hub.token) == f"{hub.url}/me/toy"
    repository = hub.repositories["me/toy"]
    assert repository.private
    held = repository.commits[repository.branches["main"]]
    assert set(held) == {*FILES, ".gitattributes"}
    assert 'from_pretrained("me/toy")' in held["README.md"].decode()
    repository.private = False
    for name in ("me/toy", "hf://me/toy@main"):
        assert same(from_pretrained(name), load_trained(trained))
    flags = ["--out", str(tmp_path / "out"), "--short-side", "32", "--no-video"]
    assert main(["vis", "predict", str(clip), "--weights", "hf://me/toy", *flags]) == 0
    assert len((tmp_path / "out" / "instances.jsonl").read_text().splitlines()) == 3


def test_nobody_is_logged_in(hub, trained, capsys):
    assert main(["vis", "push", str(trained), "me/toy"]) == 2
    assert "hf auth login" in capsys.readouterr().err
    assert not hub.repositories
