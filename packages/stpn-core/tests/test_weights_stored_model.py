"""A model from a file's own configuration and weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stpn_core.errors import InputError
from stpn_core.settings import STRICT
from stpn_core.weights import build_stored, class_names, read_stored, save_weights, text_list

SOURCE = Path("some.safetensors")


def test_a_model_with_its_weights_in_evaluation_mode():
    wanted = nn.Linear(4, 3)
    found = build_stored(lambda: nn.Linear(4, 3), wanted.state_dict(), kind="layer", source=SOURCE)
    assert torch.equal(found.weight, wanted.weight)
    assert not found.training


def test_weights_of_another_model_are_refused():
    state = nn.Linear(4, 3).state_dict()
    build_stored(lambda: nn.Linear(4, 3), state, kind="layer", source=SOURCE)
    with pytest.raises(InputError, match=r"the layer, from some\.safetensors"):
        build_stored(lambda: nn.Linear(4, 2), state, kind="layer", source=SOURCE)
    with pytest.raises(InputError, match="does not belong to its own configuration"):
        build_stored(
            lambda: nn.Linear(4, 3), state | {"more": torch.ones(1)}, kind="layer", source=SOURCE
        )


def test_nothing_is_allocated_that_the_file_does_not_hold():
    asked = []

    def build() -> nn.Linear:
        asked.append(torch.empty(0).device.type)
        return nn.Linear(40_000, 40_000)

    with pytest.raises(InputError, match="describes a layer of 1,600,040,000 numbers"):
        build_stored(build, nn.Linear(4, 3).state_dict(), kind="layer", source=SOURCE)
    assert asked == ["meta"]


def test_a_configuration_that_cannot_be_built_is_named():
    def build() -> nn.Linear:
        raise RuntimeError("negative size")

    with pytest.raises(InputError, match=r"some\.safetensors: .*negative size"):
        build_stored(build, {}, kind="layer", source=SOURCE)


@dataclass(frozen=True)
class Width:
    __pydantic_config__ = STRICT
    width: int = 4


def stored(path: Path, convert: Any = lambda state, header: None, only: bool = False) -> Any:
    return read_stored(path, Width, "layer", convert, only=only)


def test_a_file_says_how_its_model_is_built(tmp_path):
    path = tmp_path / "layer.safetensors"
    state = nn.Linear(4, 3).state_dict()
    header = {"task": "layer", "config": '{"width": 4}', "classes": '["a", "b", "c"]'}
    save_weights(path, state, header)
    found = stored(path)
    assert found.config == Width(4)
    assert all(torch.equal(found.state[name], value) for name, value in state.items())
    assert class_names(path, found.header, 3) == ("a", "b", "c")
    assert text_list(path, found.header, "notes", "sentences") == ()
    with pytest.raises(InputError, match=r"layer\.safetensors: its header names 3 classes for 2"):
        class_names(path, found.header, 2)


def test_other_files_are_converted_or_are_none(tmp_path):
    path, state = tmp_path / "other.safetensors", {"fc.weight": torch.ones(2)}
    save_file(state, path)

    def convert(state: Any, header: Any) -> Any:
        return {"weight": state["fc.weight"]}, {"task": "layer", "config": "{}"}

    assert stored(path) is None
    assert list(stored(path, convert).state) == ["weight"]
    save_weights(path, state, {"task": "another", "config": "{}"})
    assert stored(path) is None
    with pytest.raises(InputError, match="another"):
        stored(path, only=True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("config", "{", "its header is damaged"),
        ("config", '{"depth": 2}', "config"),
        ("classes", "[1]", "classes are not a list of names"),
        ("classes", "[" * 100_000, "its header is damaged"),
    ],
)
def test_a_damaged_header_is_named(tmp_path, field, value, said):
    path = tmp_path / "layer.safetensors"
    save_weights(path, {"weight": torch.ones(2)}, {"task": "layer", "config": "{}", field: value})
    with pytest.raises(InputError, match=rf"layer\.safetensors: .*{said}"):
        class_names(path, stored(path).header, 1)
