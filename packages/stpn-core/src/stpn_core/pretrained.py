"""Where an encoder's first weights come from: timm's published ones, or a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
from torch import nn

from stpn_core.errors import InputError


def create_pretrained(timm_name: str, **options: Any) -> Any:
    """timm.create_model(pretrained=True), with an error that says what to do without network."""
    try:
        return timm.create_model(timm_name, pretrained=True, **options)
    except Exception as error:  # the hub client raises whatever its version raises
        raise InputError(_missing(timm_name, error)) from error


def _missing(timm_name: str, error: Exception) -> str:
    config = timm.get_pretrained_cfg(timm_name)
    places: list[Any] = []
    if config is not None and config.hf_hub_id:
        file = config.hf_hub_filename or "model.safetensors"
        places.append(f"https://huggingface.co/{config.hf_hub_id}/resolve/main/{file}")
    if config is not None and config.url:
        places.append(config.url)
    reason = f"cannot load timm's pretrained weights {timm_name}: {type(error).__name__}: {error}"
    if not places:
        return f"{reason}. timm publishes no weights under this name"
    return (
        f"{reason}. Without network, download {' or '.join(places)} on another machine, copy the "
        "file here, and give its path as weights=PATH instead of pretrained=True"
    )


def load_encoder_file(encoder: nn.Module, path: str | Path) -> None:
    """Load an encoder's weights from any file that `stpn convert` understands.

    Norms and pyramids that classification weights lack keep their initial values. Raises InputError
    if the file cannot be read, its weights are not this encoder's, or they were trained with the
    other way of merging prompts.
    """
    from stpn_core.weights import convert_checkpoint, load_state, read_checkpoint

    found = convert_checkpoint(read_checkpoint(path).state, where=str(path))
    merge = found.metadata.get("prompt_merge", "aligned")
    if merge == "released" and getattr(encoder, "prompt_merge", merge) != merge:
        raise InputError(
            f"{path} was trained by the released STPN code; its prompts need "
            'prompt_merge="released", or every prompt\'s channels are scrambled'
        )
    state = {
        key.removeprefix("encoder."): value
        for key, value in found.state.items()
        if key.startswith("encoder.")
    }
    load_state(encoder, state, what=f"encoder, from {path}", optional=("norms.", "pyramid."))
