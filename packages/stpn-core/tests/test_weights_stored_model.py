"""A model from a file's own configuration and weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from stpn_core.errors import InputError
from stpn_core.weights import build_stored

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
