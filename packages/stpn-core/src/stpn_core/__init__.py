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
    from stpn_core.streaming import StreamOutput as StreamOutput
    from stpn_core.streaming import StreamState as StreamState
    from stpn_core.streaming import SupportPolicy as SupportPolicy
    from stpn_core.streaming import finish as finish
    from stpn_core.streaming import prompts_for as prompts_for
    from stpn_core.streaming import start_stream as start_stream
    from stpn_core.streaming import step as step

_HOME = {
    "Features": "features",
    "PromptPredictor": "predictors",
    "PromptedEncoder": "encoder",
    "Prompts": "encoder",
    "STPN": "stpn",
    "StreamOutput": "streaming",
    "StreamState": "streaming",
    "SupportPolicy": "streaming",
    "create_encoder": "encoder",
    "create_predictor": "predictors",
    "finish": "streaming",
    "prompts_for": "streaming",
    "start_stream": "streaming",
    "step": "streaming",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
