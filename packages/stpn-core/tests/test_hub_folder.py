from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stpn_core.errors import InputError
from stpn_core.hub import check_config, config_bytes, write_folder

from .faults import Crash, failing


def write_more(path: Path) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"m" * 100)
    os.close(fd)


FILES: dict[str, bytes | Callable[[Path], object]] = {"a.json": b"{}", "more.bin": write_more}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_with_its_files(tmp_path: Path) -> None:
    made = write_folder(tmp_path / "new" / "model", FILES)
    assert made == tmp_path / "new" / "model"
    assert contents(made) == {"a.json": b"{}", "more.bin": b"m" * 100}
    assert os.listdir(made.parent) == ["model"]


def test_an_empty_folder_is_filled_and_a_full_one_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_folder(tmp_path / "empty", FILES)
    before = contents(tmp_path / "empty")
    (tmp_path / "file").write_text("mine")
    for taken in ("empty", "file"):
        with pytest.raises(InputError, match="is there already"):
            write_folder(tmp_path / taken, {"a.json": b"other"})
    assert contents(tmp_path / "empty") == before
    assert sorted(os.listdir(tmp_path)) == ["empty", "file"]


@pytest.mark.parametrize("how", ["ENOSPC", "EIO", "crash"])
def test_after_a_fault_it_is_whole_or_not_there(tmp_path: Path, how: str) -> None:
    def attempt(place: Path, call: int) -> tuple[list[str], bool]:
        place.mkdir()
        with failing(call, how) as made:
            try:
                write_folder(place / "model", FILES)
            except (InputError, Crash):
                return made, False
        return made, True

    calls, done = attempt(tmp_path / "whole", -1)
    assert done
    assert len(calls) >= 8
    failed = 0
    for call in range(len(calls)):
        place = tmp_path / str(call)
        _, done = attempt(place, call)
        failed += not done
        left = [name for name in os.listdir(place) if not name.startswith(".tmp-")]
        assert left in ([], ["model"])
        if left:
            assert contents(place / "model") == contents(tmp_path / "whole" / "model")
        elif how != "crash":
            assert os.listdir(place) == []
    assert failed >= len(calls) - 1  # control: the faults do strike


def test_an_error_of_whoever_writes_leaves_nothing(tmp_path: Path) -> None:
    def broken(path: Path) -> None:
        path.write_text("half")
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        write_folder(tmp_path / "model", {"a": b"", "b": broken})
    assert os.listdir(tmp_path) == []


MODEL: dict[str, Any] = {"width": 8, "stds": [0.1, 0.2], "arch": {"depth": 2}}


def saved(folder: Path, **changes: Any) -> Path:
    table = json.loads(config_bytes("toy", MODEL, ["cat", "dog"])) | changes
    (folder / "config.json").write_text(json.dumps(table))
    return folder / "model.safetensors"


def test_the_file_for_readers_must_say_what_the_weights_say(tmp_path: Path) -> None:
    expected = config_bytes("toy", MODEL, ["cat", "dog"])
    check_config(saved(tmp_path), expected)
    for changes, said in (
        ({"model": {**MODEL, "width": 9}}, "model.width: config.json 9, weights 8"),
        ({"model": {**MODEL, "arch": {"depth": 3}}}, "model.arch.depth"),
        ({"model": {**MODEL, "more": 1}}, "model.more: config.json 1, weights None"),
        ({"classes": ["dog", "cat"]}, "classes"),
        ({"task": "other"}, "task: config.json 'other'"),
    ):
        with pytest.raises(InputError, match="do not agree") as caught:
            check_config(saved(tmp_path, **changes), expected)
        assert said in str(caught.value)


def test_a_file_from_before_a_setting_existed_agrees(tmp_path: Path) -> None:
    newer = config_bytes("toy", {**MODEL, "later": True}, ["cat", "dog"])
    check_config(saved(tmp_path), newer)


@pytest.mark.parametrize(
    "text", [None, "", "[" * 10**5, "[]", '{"library_name": "other", "model": {}}', "{" * 9]
)
def test_another_file_of_that_name_is_none_of_our_business(
    tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    check_config(tmp_path / "model.safetensors", config_bytes("toy", MODEL))
