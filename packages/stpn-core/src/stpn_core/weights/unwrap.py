"""Finding the weights in what a training script saved: containers and wrapper prefixes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.weights.tensors import is_tensor

CONTAINERS = ("state_dict", "model", "model_state_dict", "module", "ema", "state_dict_ema", "net")
MAX_DEPTH = 4


@dataclass(frozen=True)
class Unwrapped:
    """state: tensors by name. metadata: what else of use was there. notes: what was done."""

    state: dict[str, Tensor]
    metadata: dict[str, str]
    notes: tuple[str, ...]


def unwrap(payload: object, where: str) -> Unwrapped:
    """Find the tensors in a loaded checkpoint and take wrapper prefixes off their names.

    Raises:
        InputError: no tensors, or names that are not strings.
    """
    table = _table(payload, where)
    metadata = _metadata(table)
    notes = []
    for _ in range(MAX_DEPTH):
        inner = [name for name in CONTAINERS if _has_tensors(table.get(name))]
        if not inner:
            break
        notes.append(f"taken from {inner[0]!r}")
        notes += [f"not used: {name!r}" for name in table if name != inner[0]]
        table = _table(table[inner[0]], where)
    state = {key: value for key, value in table.items() if is_tensor(value)}
    notes += [f"not a tensor: {key!r}" for key in table if key not in state]
    if not state:
        some = ", ".join(repr(key)[:60] for key in list(table)[:5])
        raise InputError(f"{where}: holds no tensors (its keys: {some or 'none'})")
    state, stripped = strip_wrappers(state, where)
    return Unwrapped(state, metadata, (*notes, *stripped))


def strip_wrappers(
    state: Mapping[str, Tensor], where: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Take off `module.` (data parallel, in front of all names) and `_orig_mod.` (compiled)."""
    notes = []
    names = {key: _COMPILED.sub("", key) for key in state}
    if any(new != old for old, new in names.items()):
        notes.append("'_orig_mod.' taken off")
    while all(name.startswith("module.") for name in names.values()):
        notes.append("'module.' taken off")
        names = {key: name.removeprefix("module.") for key, name in names.items()}
    clash = _first_repeated(names.values())
    if clash is not None:
        raise InputError(f"{where}: {clash!r} is there with and without a wrapper prefix")
    return {names[key]: value for key, value in state.items()}, tuple(notes)


_COMPILED = re.compile(r"(?:(?<=\.)|^)_orig_mod\.")


def _table(value: object, where: str) -> dict[str, Any]:
    if is_tensor(value):
        raise InputError(f"{where}: holds one nameless tensor, not the weights of a model")
    if not isinstance(value, dict):
        raise InputError(f"{where}: holds a {type(value).__name__}, not a table of tensors")
    wrong = next((key for key in value if not isinstance(key, str)), None)
    if wrong is not None:
        raise InputError(f"{where}: a key of its table is no string but {type(wrong).__name__}")
    return dict(value)


def _has_tensors(value: object) -> bool:
    """True for a table with tensors in it, or with such a table one level down."""
    if not isinstance(value, dict):
        return False
    return any(
        is_tensor(item)
        or (isinstance(item, dict) and any(is_tensor(deep) for deep in item.values()))
        for item in value.values()
    )


def _metadata(table: dict[str, Any]) -> dict[str, str]:
    """Epoch, versions and class names that training scripts save beside the weights."""
    meta = table.get("meta")
    found: dict[str, str] = {}
    for key, value in (meta if isinstance(meta, dict) else table).items():
        if isinstance(key, str) and isinstance(value, str | int | float) and len(str(value)) < 200:
            found[key] = str(value)
    classes = meta.get("CLASSES") if isinstance(meta, dict) else None
    if isinstance(classes, tuple | list) and all(isinstance(name, str) for name in classes):
        found["classes"] = json.dumps(list(classes))
    return found


def _first_repeated(names: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
