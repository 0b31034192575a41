from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from stpn_core.errors import InputError
from stpn_vod.runner import is_exported, open_exported, read_manifest


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def change(folder: Path, **fields: Any) -> Path:
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return folder


def test_a_whole_one_is_read(copy: Path) -> None:
    assert is_exported(copy)
    assert not is_exported(copy.parent)
    assert read_manifest(change(copy)) == read_manifest(copy)


def test_damage_is_named(copy: Path) -> None:
    weights = copy / "weights.bin"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"weights\.bin: \d+ bytes, model.json says \d+: damaged"):
        open_exported(copy)
    weights.unlink()
    with pytest.raises(InputError, match=r"weights\.bin: No such file"):
        open_exported(copy)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 99}, "version 99 of the layout"),
        ({"format": "other"}, "format"),
        ({"files": {"../../etc/passwd": 1}}, "not the name of a file beside it"),
        ({"classes": 3}, "classes"),
        ({"surprise": 1}, "surprise"),
        ({"graphs": []}, "exported for torch only"),
    ],
)
def test_what_it_says_is_checked(copy: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_exported(change(copy, **fields))


def test_a_graph_that_is_none(copy: Path) -> None:
    name = read_manifest(copy).graphs[0].plain
    (copy / name).write_bytes(b"\0" * (copy / name).stat().st_size)
    model = open_exported(copy)
    with pytest.raises(InputError, match=f"{name}: onnxruntime .* cannot load it"):
        model.sessions[name]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no exported model"):
        read_manifest(tmp_path / "absent")
