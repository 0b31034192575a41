"""A model from a configuration and weights that came in one file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from stpn_core.errors import InputError
from stpn_core.weights.load import load_state

Model = TypeVar("Model", bound=nn.Module)


def build_stored(
    build: Callable[[], Model], state: Mapping[str, Tensor], *, kind: str, source: Path
) -> Model:
    """The model that `build` makes, with the weights `state`, in evaluation mode.

    build: makes the model of the file's configuration, and is called twice, first without memory.
    kind: what it is ("detector"), source: the file, for messages. Raises InputError if the
    configuration cannot be built, describes far more than the file holds, or is of other weights.
    """
    _check_size(build, state, kind, source)
    model = build()
    report = load_state(model, state, what=f"the {kind}, from {source}", min_matched=1.0)
    if report.unexpected:
        raise InputError(f"{report}; the file does not belong to its own configuration")
    return model.eval()


def _check_size(
    build: Callable[[], nn.Module], state: Mapping[str, Tensor], kind: str, source: Path
) -> None:
    """A header from outside must not make us allocate what the file does not hold."""
    try:
        with torch.device("meta"):
            described = build().state_dict()
    except RuntimeError as error:
        raise InputError(
            f"{source}: its configuration cannot be built: {str(error)[:200]}"
        ) from error
    needed = sum(tensor.numel() for tensor in described.values())
    held = sum(tensor.numel() for tensor in state.values())
    if needed > 2 * held:
        raise InputError(
            f"{source}: its configuration describes a {kind} of {needed:,} numbers, the file holds "
            f"{held:,}"
        )
