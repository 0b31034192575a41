"""Writing weights: one safetensors file, whole or not at all; same weights, same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from stpn_core.errors import InputError, NumericsError
from stpn_core.weights.header import FORMAT, FORMAT_VERSION
from stpn_core.weights.tensors import is_finite

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def save_weights(
    path: str | Path,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
    *,
    allow_nan: bool = False,
) -> None:
    """Write tensors to a safetensors file, atomically.

    The file appears complete and on the disk or not at all; an existing one is replaced. Tensors
    may be on any device, non-contiguous, or share memory (each is written out under its own name).
    metadata: strings for the header; `format` and `format_version` are added.

    Raises:
        NumericsError: NaN or infinity, unless allow_nan.
        InputError: a type that safetensors files of ours do not hold, or the disk refuses.
    """
    path = Path(path)
    header = _header(state, metadata or {}, str(path))
    if not allow_nan:
        bad = [key for key, tensor in state.items() if not is_finite(tensor)]
        if bad:
            raise NumericsError(
                f"{path}: not written: NaN or infinity in {len(bad)} of {len(state)} tensors, "
                f"first in {bad[0]!r}"
            )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(header)
            for key in _order(state):
                _write(file, state[key])
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_directory(path.parent)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


def _order(state: Mapping[str, Tensor]) -> list[str]:
    """Widest types first, so that every tensor starts at a multiple of its element size."""
    return sorted(state, key=lambda key: (-state[key].element_size(), key))


def _header(state: Mapping[str, Tensor], metadata: Mapping[str, str], where: str) -> bytes:
    wrong = next((key for key, value in metadata.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise InputError(f"{where}: metadata {wrong!r} must be a string; json.dumps it first")
    ours = {"format": FORMAT, "format_version": str(FORMAT_VERSION)}
    table: dict[str, object] = {"__metadata__": dict(sorted({**metadata, **ours}.items()))}
    start = 0
    for key in _order(state):
        tensor = state[key]
        if tensor.dtype not in _NAMES or tensor.layout is not torch.strided:
            raise InputError(f"{where}: {key!r} is {tensor.dtype}, {tensor.layout}: not weights")
        end = start + tensor.numel() * tensor.element_size()
        table[key] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
        start = end
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _write(file: BinaryIO, tensor: Tensor) -> None:
    flat = tensor.detach().cpu().contiguous().flatten()
    file.write(flat.view(torch.uint8).numpy().data)


def _sync_directory(folder: Path) -> None:
    """Make the rename survive a power cut; systems that cannot open a folder do without."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
