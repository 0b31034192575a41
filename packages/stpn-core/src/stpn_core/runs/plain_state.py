"""What may be in a saved state: tensors and plain values, which load without running code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any, Protocol

import torch
from torch import Tensor

from stpn_core.errors import NumericsError


class Writable(Protocol):
    """All that saving needs of a file."""

    def write(self, data: bytes) -> int: ...
    def flush(self) -> None: ...


def write_plain(value: Any, file: Writable) -> None:
    """Serialise tensors and plain values; see `check_plain` for what those are."""
    torch.save(value, file)  # type: ignore[arg-type]  # its annotation asks for more than it uses


def read_plain(file: IO[bytes] | str) -> Any:
    """What `write_plain` wrote, tensors on the CPU. Never runs code, whatever the file holds."""
    return torch.load(file, map_location="cpu", weights_only=True)


def leaves(value: Any, path: str = "state") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested dicts, lists and tuples with its place, such as `state.model.fc.weight`.

    Raises TypeError for a dict key that is neither str nor int.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"{path} has a key of type {type(key).__name__}; use str or int")
            yield from leaves(item, f"{path}.{key}")
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def check_plain(state: dict[str, Any]) -> None:
    """Refuse what could not be loaded again, or should not be: before anything is written.

    Raises TypeError for a value that is not a tensor, bool, int, float, str or None, and
    NumericsError naming the first tensors that hold NaN or infinity.
    """
    broken: list[str] = []
    for path, value in leaves(state):
        if isinstance(value, Tensor):
            if not bool(torch.isfinite(value).all()):
                broken.append(path)
        elif value is not None and type(value) not in (bool, int, float, str):
            raise TypeError(
                f"{path} is a {type(value).__name__}; a checkpoint holds tensors, bool, int, "
                "float, str, None and lists, tuples and dicts of them"
            )
    if broken:
        shown = ", ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        raise NumericsError(
            f"refusing to save NaN or infinity in {shown}; the last checkpoint is untouched. "
            "Resume from it with a lower learning rate, or in fp32"
        )
