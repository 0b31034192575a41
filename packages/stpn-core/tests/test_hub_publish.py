from __future__ import annotations

import json
from pathlib import Path

import pytest

from stpn_core.errors import InputError
from stpn_core.hub import (
    Card,
    RunRecord,
    config_bytes,
    is_saved_model,
    model_files,
    push_files,
    saved_files,
    write_folder,
)
from stpn_core.testing.fake_hub import fake_hub, point_at

CONFIG = config_bytes("toy", {"width": 8})


def card(record: RunRecord | None = None) -> Card:
    return Card("mine", "About.", "object-detection", ["run it"], ["use(it)"], record=record)


def weights(path: Path) -> None:
    path.write_bytes(b"weights")


def saved(folder: Path) -> Path:
    record = RunRecord(4, {"name": "toy", "lr": 0.1}, {"AP": 0.5})
    return write_folder(folder, model_files(card(record), CONFIG, weights))


def test_a_model_with_a_record_brings_its_recipe(tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine")
    assert json.loads((folder / "recipe.json").read_text()) == {"name": "toy", "lr": 0.1}
    assert (folder / "config.json").read_bytes() == CONFIG
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert "| AP | 0.5000 |" in (folder / "README.md").read_text()
    assert set(model_files(card(), CONFIG, weights)) == {
        "README.md", "config.json", "model.safetensors"
    }  # fmt: skip


def test_a_saved_model_is_told_from_a_run(tmp_path: Path) -> None:
    folder = saved(tmp_path / "mine")
    assert is_saved_model(folder)
    assert not is_saved_model(folder / "model.safetensors")
    (folder / "README.md").unlink()
    assert not is_saved_model(folder)


def test_a_saved_model_goes_up_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved(tmp_path / "mine")
    (folder / "README.md").write_text("# Mine\n")
    (folder / "notes.txt").write_text("private")
    with fake_hub() as hub:
        point_at(hub.url, tmp_path / "cache", monkeypatch)
        assert push_files(saved_files(folder), "me/toy", token=hub.token) == f"{hub.url}/me/toy"
        repository = hub.repositories["me/toy"]
        held = repository.commits[repository.branches["main"]]
        hub.requests.clear()
        with pytest.raises(InputError, match="which is owner/name"):
            push_files(saved_files(folder), "toy", token=hub.token)
        assert hub.requests == []
    names = ("README.md", "config.json", "recipe.json", "model.safetensors")
    assert set(held) == {*names, ".gitattributes"}
    assert all(held[name] == (folder / name).read_bytes() for name in names)
    with pytest.raises(InputError, match=r"write the licence into .*README\.md"):
        saved_files(folder, "mit")
