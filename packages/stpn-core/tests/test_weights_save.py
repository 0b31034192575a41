"""Writing weights: the file is whole, durable and the same each time, whatever the tensors."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from stpn_core.errors import InputError, NumericsError
from stpn_core.weights import read_checkpoint, save_weights


def test_any_tensor_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    base = torch.arange(24.0).reshape(4, 6)
    state = {
        "plain": base,
        "transposed": base.t(),
        "slice": base[1:3, ::2],
        "tied": base,
        "expanded": torch.ones(1).expand(5),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "double": base.double(),
        "int": torch.arange(3),
        "byte": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(base),
        "größe": base,
    }
    save_weights(path, state, {"task": "vod", "config": "{}"})
    for loaded in (load_file(path), read_checkpoint(path).state):
        assert loaded.keys() == state.keys()
        for key, tensor in state.items():
            assert loaded[key].dtype == tensor.dtype, key
            assert torch.equal(loaded[key], tensor), key
    with safe_open(path, framework="pt") as handle:
        assert handle.metadata() == {
            "config": "{}",
            "format": "stpn",
            "format_version": "1",
            "task": "vod",
        }


def test_same_weights_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    save_weights(first, {"b": torch.ones(2), "a": torch.arange(3)}, {"y": "1", "x": "2"})
    save_weights(second, {"a": torch.arange(3), "b": torch.ones(2)}, {"x": "2", "y": "1"})
    assert first.read_bytes() == second.read_bytes()
    save_weights(second, {"a": torch.arange(3), "b": torch.ones(2)}, {"x": "3", "y": "1"})
    assert first.read_bytes() != second.read_bytes()


def test_others_may_read_the_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_weights(tmp_path / "w.safetensors", {"a": torch.ones(2)})
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o644


def test_nan_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.ones(2)})
    bad = {"a": torch.ones(2), "b": torch.tensor([1.0, float("inf")])}
    with pytest.raises(NumericsError, match="first in 'b'"):
        save_weights(path, bad)
    assert load_file(path).keys() == {"a"}
    save_weights(path, bad, allow_nan=True)
    assert load_file(path).keys() == {"a", "b"}


def test_what_is_no_weight_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="'a' is torch"):
        save_weights(path, {"a": torch.zeros(1, dtype=torch.complex64)})
    with pytest.raises(InputError, match="metadata 'n' must be a string"):
        save_weights(path, {"a": torch.zeros(1)}, {"n": 3})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="cannot be written: No such file"):
        save_weights(tmp_path / "no" / "w.safetensors", {"a": torch.zeros(1)})
    assert list(tmp_path.iterdir()) == []


class Killed(BaseException):
    """Stands for a kill: nothing but `finally` sees it."""


STEPS = ["os.fsync file", "os.replace", "os.fsync folder", "write 1", "write 2", "write 3"]


def _break(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException) -> None:
    """Let one operation of `save_weights` fail before it does anything."""
    from stpn_core.weights import save

    count = {"fsync": 0, "write": 0}

    def fsync(descriptor: int) -> None:
        count["fsync"] += 1
        if step == ("os.fsync file", "os.fsync folder")[count["fsync"] - 1]:
            raise error

    def replace(source: Any, target: Any) -> None:
        if step == "os.replace":
            raise error
        os.rename(source, target)

    real = save._write

    def write(file: Any, tensor: torch.Tensor) -> None:
        count["write"] += 1
        if step == f"write {count['write']}":
            file.write(b"half")
            raise error
        real(file, tensor)

    monkeypatch.setattr(save.os, "fsync", fsync)
    monkeypatch.setattr(save.os, "replace", replace)
    monkeypatch.setattr(save, "_write", write)


OLD = {k: torch.full((4,), 1.0) for k in "abc"}
NEW = {k: torch.full((4,), 2.0) for k in "abc"}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [Killed(), OSError(errno.ENOSPC, "No space left on device")])
def test_old_or_new_weights_are_there_whenever_it_stops(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, OLD)
    _break(monkeypatch, step, error)
    with pytest.raises((Killed, InputError)):
        save_weights(path, NEW)
    found = float(load_file(path)["a"][0])
    assert found == (2.0 if step == "os.fsync folder" else 1.0)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_writing_in_place_would_lose_them(tmp_path: Path) -> None:
    """Control: the same fault in a writer that opens the target itself."""
    path = tmp_path / "w.safetensors"
    save_weights(path, OLD)
    data = path.read_bytes()
    with path.open("wb") as file:
        file.write(data[: len(data) // 2])
    with pytest.raises(InputError):
        read_checkpoint(path)


def test_a_leftover_of_a_killed_process_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(b"half")
    save_weights(path, NEW)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
