"""A task's model in one file: weights, and in the header the configuration that builds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from stpn_core.errors import InputError
from stpn_core.settings import read_dataclass
from stpn_core.weights.checkpoint import read_checkpoint
from stpn_core.weights.load import load_state

Model = TypeVar("Model", bound=nn.Module)
Config = TypeVar("Config")
StateAndHeader = tuple[dict[str, Tensor], dict[str, str]]
Convert = Callable[[dict[str, Tensor], dict[str, str]], StateAndHeader | None]


@dataclass(frozen=True, eq=False)
class Stored(Generic[Config]):
    """What a file says of a task's model: tensors by name, its configuration, the whole header."""

    state: Mapping[str, Tensor]
    config: Config
    header: Mapping[str, str]


def read_stored(
    path: str | Path, kind: type[Config], task: str, convert: Convert, *, only: bool
) -> Stored[Config] | None:
    """The model of a file that was written for `task`, or that `convert` makes one of; None for other
    weights.

    kind: dataclass of the configuration. convert: state and header of another project's checkpoint to
    ours, or None. only: refuse at once a file of ours for another task.

    Raises InputError if the file is missing or damaged.
    """
    checkpoint = read_checkpoint(path, task=task if only else None)
    state, header = checkpoint.state, checkpoint.metadata
    if header.get("format") != "stpn":
        converted = convert(state, header)
        if converted is None:
            return None
        state, header = converted
    if header.get("task") != task or "config" not in header:
        return None
    values = _json(path, header["config"])
    return Stored(state, read_dataclass(kind, values, f"{path}: config"), header)


def class_names(path: str | Path, header: Mapping[str, str], count: int) -> tuple[str, ...]:
    """Names of a model's `count` classes, none where the header does not say.

    Raises InputError if they are as many as something else.
    """
    names = text_list(path, header, "classes", "names")
    if names and len(names) != count:
        raise InputError(f"{path}: its header names {len(names)} classes for {count} outputs")
    return names


def text_list(
    path: str | Path, header: Mapping[str, str], field: str, what: str
) -> tuple[str, ...]:
    """A field of a header that is a list of `what` in JSON, empty where it is missing."""
    values = _json(path, header.get(field, "[]"))
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InputError(f"{path}: its header is damaged: {field} are not a list of {what}")
    return tuple(values)


def _json(path: str | Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its header is damaged: {error}") from error


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
