"""Settings as frozen dataclasses: to JSON and back exactly, with every fault of a file named.

@dataclass(frozen=True)
class Recipe:
    __pydantic_config__ = STRICT
    name: str
    ...
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from stpn_core.errors import InputError

STRICT: Any = {"extra": "forbid"}
"""For `__pydantic_config__` of a dataclass: a misspelt field in a file is an error, no default."""

T = TypeVar("T")


def to_json(settings: Any) -> str:
    """A dataclass as JSON text; `from_json` gives it back exactly."""
    return json.dumps(dataclasses.asdict(settings), indent=2) + "\n"


def from_json(kind: type[T], text: str, where: str = "config") -> T:
    """Read what `to_json` wrote. Raises InputError with a line for every field that is wrong."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error
    return read_dataclass(kind, values, where)


def read_dataclass(kind: type[T], values: Any, where: str) -> T:
    """A dataclass from JSON values, strictly: every wrong, unknown or missing field is named."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise InputError(
            "\n".join(
                f"{where}: {'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}"
                f" (got {fault['input']!r})"
                for fault in error.errors()
            )
        ) from None


def number_faults(
    settings: Any, names: Iterable[str], expected: str, good: Callable[[float], bool]
) -> list[str]:
    """A line for every number among `names` that is not finite or not `good`.

    settings: a dataclass; names: dotted, such as "optim.lr"; expected: "greater than 0".
    """
    values = dataclasses.asdict(settings)
    found = ((name, _at(values, name)) for name in names)
    return [
        f"{name}: must be {expected}, not {value}"
        for name, value in found
        if not (math.isfinite(value) and good(value))
    ]


def refuse(what: str, faults: Iterable[str]) -> None:
    """Raise InputError with a line for each fault, if there are any."""
    lines = [f"{what}: {fault}" for fault in faults]
    if lines:
        raise InputError("\n".join(lines))


def _at(values: Mapping[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values
