"""Degraded moving-object videos in the real layout of ImageNet VID (`stpn data synthesize`).

Names are imported when first used, so that `stpn data --help` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_data.synthesize.arguments import Arguments as Arguments
    from stpn_data.synthesize.command import main as main
    from stpn_data.synthesize.command import synthesize as synthesize
    from stpn_data.synthesize.record import SEVERITY_BINS as SEVERITY_BINS
    from stpn_data.synthesize.record import VideoRecord as VideoRecord
    from stpn_data.synthesize.record import read_record as read_record
    from stpn_data.synthesize.record import severity_bin as severity_bin
    from stpn_data.synthesize.record import severity_of as severity_of

# public name -> module of this package that holds it; keep it in step with the imports above
_HOME = {
    "Arguments": "arguments",
    "main": "command",
    "synthesize": "command",
    "SEVERITY_BINS": "record",
    "VideoRecord": "record",
    "read_record": "record",
    "severity_bin": "record",
    "severity_of": "record",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'stpn_data.synthesize' has no attribute {name!r}")
    return getattr(import_module(f"stpn_data.synthesize.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
