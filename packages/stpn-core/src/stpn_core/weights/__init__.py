"""Reading, checking, converting and writing weights.

`read_checkpoint` is the one way by which a file from outside becomes tensors. Nothing in a file can
run code, and nothing is loaded that the file is too small to hold.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_core.weights.backbone import load_backbone as load_backbone
    from stpn_core.weights.checkpoint import Checkpoint as Checkpoint
    from stpn_core.weights.checkpoint import read_checkpoint as read_checkpoint
    from stpn_core.weights.conversion import Conversion as Conversion
    from stpn_core.weights.conversion import convert_checkpoint as convert_checkpoint
    from stpn_core.weights.conversion import convert_encoder as convert_encoder
    from stpn_core.weights.load import LoadReport as LoadReport
    from stpn_core.weights.load import load_state as load_state
    from stpn_core.weights.save import save_weights as save_weights
    from stpn_core.weights.stored_model import Stored as Stored
    from stpn_core.weights.stored_model import build_stored as build_stored
    from stpn_core.weights.stored_model import class_names as class_names
    from stpn_core.weights.stored_model import read_stored as read_stored
    from stpn_core.weights.stored_model import text_list as text_list

_HOME = {
    "Checkpoint": "checkpoint",
    "Conversion": "conversion",
    "LoadReport": "load",
    "Stored": "stored_model",
    "build_stored": "stored_model",
    "class_names": "stored_model",
    "convert_checkpoint": "conversion",
    "convert_encoder": "conversion",
    "load_backbone": "backbone",
    "load_state": "load",
    "read_checkpoint": "checkpoint",
    "read_stored": "stored_model",
    "save_weights": "save",
    "text_list": "stored_model",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
