"""Videos with masks in other forms, written as YouTube-VIS (`stpn data convert`)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_data.convert.command import convert as convert
    from stpn_data.convert.command import main as main

_HOME = {"convert": "command", "main": "command"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_data.convert' has no attribute {name!r}")
    return getattr(import_module(f"stpn_data.convert.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
