"""Trained models as folders that others can use, here or on the Hugging Face Hub.

    FOLDER/                  also a repository on the Hub
      model.safetensors      weights; their header alone is enough to build the model
      config.json            the same configuration for readers
      recipe.json            the training's exact configuration, if the weights come from a run
      README.md              the model card

A task says how its weights are written and what its card says; the rest is here. Talking to the Hub
needs the extra `hub`; folders do not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stpn_core.hub.address import HubAddress, find_model, hub_address
    from stpn_core.hub.card import Card, render_card
    from stpn_core.hub.folder import check_config, config_bytes, write_folder
    from stpn_core.hub.models import Contents, Publishing, push_model, save_model
    from stpn_core.hub.publish import is_saved_model, model_files, push_files, saved_files
    from stpn_core.hub.record import RunRecord, record_of, without_places
    from stpn_core.hub.transfer import download, upload

_HOMES = {
    "Card": "card",
    "Contents": "models",
    "HubAddress": "address",
    "Publishing": "models",
    "RunRecord": "record",
    "check_config": "folder",
    "config_bytes": "folder",
    "download": "transfer",
    "find_model": "address",
    "hub_address": "address",
    "is_saved_model": "publish",
    "model_files": "publish",
    "push_files": "publish",
    "push_model": "models",
    "record_of": "record",
    "render_card": "card",
    "save_model": "models",
    "saved_files": "publish",
    "upload": "transfer",
    "without_places": "record",
    "write_folder": "folder",
}

__all__ = [
    "Card",
    "Contents",
    "HubAddress",
    "Publishing",
    "RunRecord",
    "check_config",
    "config_bytes",
    "download",
    "find_model",
    "hub_address",
    "is_saved_model",
    "model_files",
    "push_files",
    "push_model",
    "record_of",
    "render_card",
    "save_model",
    "saved_files",
    "upload",
    "without_places",
    "write_folder",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
