"""Visual object tracking with spatio-temporal prompts.

Names are imported when first used, so that `import stpn_vot` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Public name -> module of this package that holds it.
_HOME: dict[str, str] = {}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_vot' has no attribute {name!r}")
    return getattr(import_module(f"stpn_vot.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
