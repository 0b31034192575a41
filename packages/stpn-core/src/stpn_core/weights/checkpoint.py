"""The one way by which a file from outside becomes tensors."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.weights.bare_pickle import read_bare_pickle
from stpn_core.weights.file_kind import kind_of, regular_file_size
from stpn_core.weights.header import check_header
from stpn_core.weights.safetensors_file import read_safetensors
from stpn_core.weights.tensors import check_tensors
from stpn_core.weights.torch_zip import read_torch_zip
from stpn_core.weights.unwrap import strip_wrappers, unwrap


@dataclass(frozen=True)
class Checkpoint:
    """Weights from a file.

    state: dense CPU tensors by name, wrapper prefixes taken off.
    metadata: header of a safetensors file, or the strings and numbers saved beside the weights.
    source: the file. notes: what was unwrapped or left aside, for a report.
    """

    state: dict[str, Tensor]
    metadata: dict[str, str]
    source: Path
    notes: tuple[str, ...] = ()


def read_checkpoint(
    path: str | Path,
    *,
    task: str | None = None,
    expect_sha256: str | None = None,
    allow_nan: bool = False,
) -> Checkpoint:
    """Read a torch (`torch.save`, zip) or safetensors file, or a pickle of arrays, that may come
    from anywhere.

    Nothing in the file is run, and memory stays within twice its size. Other files than safetensors
    may nest the weights in `state_dict`, `model` or `ema`; the prefixes `module.` and `_orig_mod.`
    are taken off.

    task: the task the weights must be for, if the file names one. expect_sha256: hex digest that
    the file must have. allow_nan: accept NaN and infinity.

    Raises:
        InputError: no such file, not weights, damaged, or refused, with the reason.
    """
    source = Path(path)
    where = str(path)
    size = regular_file_size(source)
    try:
        with source.open("rb") as file:
            if expect_sha256 is not None:
                _check_sha256(file, expect_sha256, where)
            state, metadata, notes = _read(file, source, size, where)
    except OSError as error:
        raise InputError(f"{where}: cannot be read: {error}") from error
    check_header(metadata, where=where, task=task)
    # Twice: tied weights appear under two names but lie in the file once.
    check_tensors(state, where=where, max_bytes=2 * size, allow_nan=allow_nan)
    return Checkpoint(state, metadata, source, notes)


def sha256_of(file: BufferedReader) -> str:
    """Hex digest of an open file, from its start."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _read(
    file: BufferedReader, source: Path, size: int, where: str
) -> tuple[dict[str, Tensor], dict[str, str], tuple[str, ...]]:
    file.seek(0)
    kind = kind_of(file.read(512), size, where)
    if kind != "safetensors":
        read = read_torch_zip if kind == "torch" else read_bare_pickle
        unwrapped = unwrap(read(file, size, where), where)
        return unwrapped.state, unwrapped.metadata, unwrapped.notes
    state, metadata = read_safetensors(file, source, size, where)
    if not state:
        raise InputError(f"{where}: a safetensors file without tensors")
    state, notes = strip_wrappers(state, where)
    return state, metadata, notes


def _check_sha256(file: BufferedReader, expected: str, where: str) -> None:
    found = sha256_of(file)
    if found != expected.lower():
        raise InputError(
            f"{where}: its sha256 is {found}, expected {expected.lower()}: damaged, or another "
            "file; download it again"
        )
