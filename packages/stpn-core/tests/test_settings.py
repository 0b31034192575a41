from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from stpn_core.errors import InputError
from stpn_core.settings import STRICT, from_json, number_faults, read_dataclass, refuse, to_json


@dataclass(frozen=True)
class Inner:
    __pydantic_config__ = STRICT
    sides: tuple[int, ...] = (3, 4)
    rate: float = 0.1


@dataclass(frozen=True)
class Outer:
    __pydantic_config__ = STRICT
    name: str
    inner: Inner = field(default_factory=Inner)


def test_settings_survive_json():
    settings = Outer("a", Inner((1, 2, 3), 1e-17))
    assert from_json(Outer, to_json(settings)) == settings


def test_every_fault_is_named_at_once():
    values = {"inner": {"sides": [1, "x"], "rate": "fast", "rat": 1}}
    with pytest.raises(InputError) as caught:
        read_dataclass(Outer, values, "my.json")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("my.json: ") for line in lines)
    for name in ("name", "inner.sides.1", "inner.rate", "inner.rat"):
        assert any(f" {name}: " in line for line in lines)
    assert "'fast'" in str(caught.value)


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InputError, match=r"my\.json: not JSON"):
        from_json(Outer, text, "my.json")
    with pytest.raises(InputError, match=r"my\.json: file: "):
        from_json(Outer, json.dumps([1]), "my.json")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_numbers_that_are_not_good_are_named(value):
    settings = Outer("a", Inner(rate=value))
    faults = number_faults(settings, ["inner.rate"], "greater than 0", lambda x: x > 0)
    assert faults == [f"inner.rate: must be greater than 0, not {value}"]
    with pytest.raises(InputError, match=r"^a: inner\.rate: must be"):
        refuse("a", faults)


def test_good_numbers_pass():
    assert number_faults(Outer("a"), ["inner.rate"], "greater than 0", lambda x: x > 0) == []
    refuse("a", [])
