"""Reading checkpoints: containers, prefixes, wrong files, headers, hashes, and flipped bytes."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint, save_weights

W, V = torch.arange(6.0).reshape(2, 3), torch.ones(2)
PLAIN = {"a.weight": W, "a.bias": V}


@pytest.mark.parametrize(
    ("payload", "note"),
    [
        (PLAIN, None),
        ({"state_dict": PLAIN, "optimizer": {"x": 1}}, "taken from 'state_dict'"),
        ({"model": PLAIN, "epoch": 3}, "taken from 'model'"),
        ({"ema": PLAIN}, "taken from 'ema'"),
        ({"model": {"state_dict": PLAIN}}, "taken from 'state_dict'"),
        ({"model": PLAIN, "ema": {"a.weight": W + 1}}, "not used: 'ema'"),
        ({f"module.{k}": v for k, v in PLAIN.items()}, "'module.' taken off"),
        ({f"module.module.{k}": v for k, v in PLAIN.items()}, "'module.' taken off"),
        ({f"_orig_mod.{k}": v for k, v in PLAIN.items()}, "'_orig_mod.' taken off"),
        ({"a._orig_mod.weight": W, "a.bias": V}, "'_orig_mod.' taken off"),
        ({f"module._orig_mod.{k}": v for k, v in PLAIN.items()}, "'_orig_mod.' taken off"),
        ({**PLAIN, "version": 2, "names": ["x"]}, "not a tensor: 'names'"),
    ],
)
def test_containers_and_prefixes_come_off(
    payload: dict[str, Any], note: str | None, tmp_path: Path
) -> None:
    torch.save(payload, tmp_path / "w.pth")
    checkpoint = read_checkpoint(tmp_path / "w.pth")
    assert set(checkpoint.state) == set(PLAIN)
    assert torch.equal(checkpoint.state["a.weight"], W)
    assert checkpoint.source == tmp_path / "w.pth"
    assert note in checkpoint.notes if note else not checkpoint.notes


def test_names_that_only_begin_like_a_prefix_stay(tmp_path: Path) -> None:
    mixed = {"module.a": W, "b": V, "modules.c": W, "x_orig_mod.d": V}
    torch.save(mixed, tmp_path / "w.pth")
    assert set(read_checkpoint(tmp_path / "w.pth").state) == set(mixed)


def test_clash_of_names_is_an_error(tmp_path: Path) -> None:
    torch.save({"a": W, "_orig_mod.a": W}, tmp_path / "w.pth")
    with pytest.raises(InputError, match="'a' is there with and without"):
        read_checkpoint(tmp_path / "w.pth")


def test_metadata_of_training_scripts_is_kept(tmp_path: Path) -> None:
    meta = {"epoch": 9, "exp_name": "stpn", "CLASSES": ("cat", "dog"), "hook_msgs": {}}
    torch.save({"state_dict": PLAIN, "meta": meta}, tmp_path / "w.pth")
    metadata = read_checkpoint(tmp_path / "w.pth").metadata
    assert metadata["epoch"] == "9"
    assert json.loads(metadata["classes"]) == ["cat", "dog"]
    assert "hook_msgs" not in metadata


def test_safetensors_with_prefix_and_metadata(tmp_path: Path) -> None:
    state = {f"module.{k}": v for k, v in PLAIN.items()}
    save_file(state, tmp_path / "w.safetensors", metadata={"format": "pt", "x": "y"})
    checkpoint = read_checkpoint(tmp_path / "w.safetensors")
    assert set(checkpoint.state) == set(PLAIN)
    assert checkpoint.metadata["x"] == "y"


def _text(content: str | bytes) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data) and None


def _cut(share: float) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        torch.save({"w": torch.randn(1000)}, path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return build


def _cut_safetensors(path: Path) -> None:
    save_file({"w": torch.randn(1000)}, path)
    path.write_bytes(path.read_bytes()[:-5])


def _saved(value: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(value, path)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "a directory"),
        (_text(b""), "empty"),
        (_text("<!DOCTYPE html><html>Sign in</html>"), "web page"),
        (_text("\n  <html><body>404"), "web page"),
        (_text('<?xml version="1.0"?><Error>AccessDenied</Error>'), "web page"),
        (_text('{"error": "gated repository"}'), "JSON"),
        (_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n"), "git-lfs"),
        (_text(b"\x1f\x8b\x08\x00" + b"x" * 50), "gzip"),
        (_text(b"\x89PNG\r\n\x1a\n" + b"x" * 50), "PNG"),
        (_text("hello, this is a text file"), "neither a torch nor a safetensors"),
        (_text(b"PK\3\4" + b"x" * 100), "cut off"),
        (_text(b"x"), "neither"),
        (_cut(0.99), "cut off"),
        (_cut(0.5), "cut off"),
        (_cut(0.01), "cut off"),
        (_cut_safetensors, "cut off"),
        (_text(struct.pack("<Q", 2) + b"{}"), "without tensors"),
        (_text(struct.pack("<Q", 2) + b"{]"), "header cannot be read"),
        (_saved(torch.ones(3)), "one nameless tensor"),
        (_saved([1, 2]), "holds a list"),
        (_saved({}), "no tensors"),
        (_saved({"epoch": 3, "names": ["a"]}), "no tensors .*'epoch'"),
        (_saved({1: torch.ones(2)}), "no string but int"),
    ],
)
def test_a_wrong_file_says_what_it_is(
    build: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    build(path)
    with pytest.raises(InputError, match=said) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_misspelt_name_is_corrected(tmp_path: Path) -> None:
    torch.save(PLAIN, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"did you mean .*weights\.pth"):
        read_checkpoint(tmp_path / "wieghts.pth")


def test_a_device_or_pipe_is_not_read() -> None:
    with pytest.raises(InputError, match="not a regular file"):
        read_checkpoint("/dev/zero")


def test_the_advice_for_the_old_torch_format_works(tmp_path: Path) -> None:
    path, new = tmp_path / "old.pth", tmp_path / "new.pth"
    torch.save(PLAIN, path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"before 1\.6") as caught:
        read_checkpoint(path)
    command = str(caught.value).split("python -c '")[1].split("'\n")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(command.replace("new.pth", str(new)))
    assert torch.equal(read_checkpoint(new).state["a.weight"], W)


def test_sha256_is_checked_before_anything_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(PLAIN, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_checkpoint(path, expect_sha256=digest.upper()).state.keys() == PLAIN.keys()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="sha256") as caught:
        read_checkpoint(path, expect_sha256=digest)
    assert digest in str(caught.value)


def test_task_and_format_version_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, PLAIN, {"task": "vod"})
    assert read_checkpoint(path, task="vod").metadata["task"] == "vod"
    assert read_checkpoint(path).state.keys() == PLAIN.keys()
    with pytest.raises(InputError, match="the task 'vod', not for 'vis'"):
        read_checkpoint(path, task="vis")
    save_file(PLAIN, path, metadata={"format": "stpn", "format_version": "2"})
    with pytest.raises(InputError, match=r"format version 2.*update stpn-core"):
        read_checkpoint(path)
    save_file(PLAIN, path, metadata={"format": "pt", "format_version": "2", "task": "vod"})
    assert read_checkpoint(path, task="vis").state.keys() == PLAIN.keys()  # control: not ours


@pytest.mark.parametrize("suffix", ["pth", "pkl", "safetensors"])
def test_flipped_bytes_give_weights_or_an_error_of_ours(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w.{suffix}"
    state = {"layer.weight": torch.randn(3, 4), "layer.bias": torch.randn(3)}
    if suffix == "pth":
        torch.save({"state_dict": state, "meta": {"epoch": 1}}, path)
    elif suffix == "pkl":
        arrays = {f"{key}.array": tensor.numpy() for key, tensor in state.items()}
        path.write_bytes(pickle.dumps({"model": state | arrays, "epoch": 1}))
    else:
        save_file(state, path, metadata={"epoch": "1"})
    good = path.read_bytes()
    random_ = random.Random(7)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for _ in range(random_.choice((1, 1, 2, 8))):
            data[random_.randrange(len(data))] = random_.randrange(256)
        path.write_bytes(data)
        try:
            checkpoint = read_checkpoint(path)
        except InputError:
            refused += 1
        else:
            assert all(isinstance(tensor, torch.Tensor) for tensor in checkpoint.state.values())
    assert 20 < refused < 400  # control: some are harmful, some are not
