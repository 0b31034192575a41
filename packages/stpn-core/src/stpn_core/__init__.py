"""STPN core: encoders that take prompts, predictors that make them, and what every task shares.

The names below are the public ones. They are loaded when first used, so that importing this package
(as the `stpn` command does) does not import torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_core.encoder import PromptedEncoder as PromptedEncoder
    from stpn_core.encoder import Prompts as Prompts
    from stpn_core.encoder import create_encoder as create_encoder
    from stpn_core.features import Features as Features
    from stpn_core.predictors import PromptPredictor as PromptPredictor
    from stpn_core.predictors import create_predictor as create_predictor
    from stpn_core.stpn import STPN as STPN

_HOME = {
    "Features": "features",
    "PromptPredictor": "predictors",
    "PromptedEncoder": "encoder",
    "Prompts": "encoder",
    "STPN": "stpn",
    "create_encoder": "encoder",
    "create_predictor": "predictors",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
