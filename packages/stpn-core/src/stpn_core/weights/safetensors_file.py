"""safetensors files: an 8-byte length, a JSON header, then the numbers."""

from __future__ import annotations

import json
import struct
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO

import safetensors
from safetensors import safe_open
from torch import Tensor

from stpn_core.errors import InputError

MAX_HEADER = 4 << 20  # bytes; some 40,000 tensors
DTYPES = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U8", "BOOL"}


def read_safetensors(
    file: BinaryIO, path: Path, size: int, where: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file of `size` bytes.

    Raises:
        InputError: cut off, inconsistent, a key twice, or a type that weights do not have.
    """
    metadata = _check_header(file, size, where)
    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            return {key: handle.get_tensor(key) for key in handle.keys()}, metadata  # noqa: SIM118
    except (safetensors.SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise InputError(f"{where}: not a valid safetensors file: {error}") from error


def _check_header(file: BinaryIO, size: int, where: str) -> dict[str, str]:
    file.seek(0)
    (length,) = struct.unpack("<Q", file.read(8))
    if length > MAX_HEADER:
        raise InputError(f"{where}: refused: a safetensors header of {length} bytes")
    if length > size - 8:
        raise InputError(f"{where}: cut off inside its header; download or copy it again")
    try:
        header = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: its safetensors header cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise InputError(f"{where}: its safetensors header is not a table")
    metadata = header.pop("__metadata__", {})
    _check_entries(header, size - 8 - length, where)
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise InputError(f"{where}: its safetensors metadata is not a table of strings")
    return metadata


def _check_entries(header: dict[str, Any], room: int, where: str) -> None:
    end = 0
    for key, entry in header.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        if dtype not in DTYPES:
            raise InputError(
                f"{where}: refused: {key!r} is of type {dtype}; weights are "
                f"{', '.join(sorted(DTYPES))}"
            )
        offsets = entry.get("data_offsets")
        if not isinstance(offsets, list) or not all(type(o) is int for o in offsets):
            raise InputError(f"{where}: {key!r} has no place in the file")
        end = max(end, *offsets, 0)
    if end > room:
        raise InputError(
            f"{where}: cut off: its header promises {end} bytes of tensors, the file has {room}; "
            "download or copy it again"
        )


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        twice = next(key for key, n in Counter(key for key, _ in pairs).items() if n > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return table
