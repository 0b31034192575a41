"""Passing a batch to another process: images in anonymous files, the rest in the message.

The loading process collates straight into the files, so nothing is copied, and they do not count
against /dev/shm, which containers keep small.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from math import prod
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class _Mapped:
    """A uint8 tensor in file number `file` of a parcel, from byte `offset` on."""

    file: int
    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Parcel:
    """A batch on its way: what it is made of, and the sizes in bytes of the files that follow."""

    kind: type[Any]
    content: dict[str, Any]
    sizes: list[int]


class Arena:
    """uint8 tensors that another process can map. Collate with `arena.zeros`, then send."""

    def __init__(self) -> None:
        self.files: list[int] = []
        self._tensors: list[Tensor] = []  # of the files; kept, so that no address is used twice

    def zeros(self, *shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
        """A zero tensor whose memory is a new anonymous file."""
        if not prod(shape):
            return torch.zeros(shape, dtype=dtype)
        self.files.append(_anonymous_file(prod(shape)))
        self._tensors.append(_mapped(self.files[-1], prod(shape)))
        return self._tensors[-1].view(shape)

    def send(self, connection: Connection, batch: Any) -> None:
        """Send a batch, a dataclass of tensors, lists of them and plain values. What `zeros` made,
        or a part of it, is not copied."""
        content = {f.name: self._pack(getattr(batch, f.name)) for f in fields(batch)}
        connection.send(Parcel(type(batch), content, [len(tensor) for tensor in self._tensors]))
        for file in self.files:
            send_handle(connection, file, os.getppid())

    def close(self) -> None:
        """Give up the files; they live on where they are mapped."""
        for file in self.files:
            os.close(file)
        self.files.clear()
        self._tensors.clear()

    def _pack(self, value: Any) -> Any:
        """Tensors as places in files, or as arrays: those are pickled whole, where each tensor would
        cost a file."""
        if isinstance(value, list):
            return [self._pack(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        start = value.untyped_storage().data_ptr()
        for number, tensor in enumerate(self._tensors):
            if tensor.data_ptr() == start and value.numel() and value.is_contiguous():
                return _Mapped(number, int(value.storage_offset()), tuple(value.shape))
        return value.numpy()


def receive_batch(connection: Connection, parcel: Parcel) -> Any:
    """The batch that belongs to a parcel sent by `Arena.send`."""
    files = [_received(connection, size) for size in parcel.sizes]
    return parcel.kind(**{name: _unpack(value, files) for name, value in parcel.content.items()})


def _unpack(value: Any, files: Sequence[Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, files) for item in value]
    if isinstance(value, _Mapped):
        return files[value.file][value.offset :][: prod(value.shape)].view(value.shape)
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _received(connection: Connection, size: int) -> Tensor:
    file = recv_handle(connection)
    try:
        return _mapped(file, size)
    finally:
        os.close(file)


def _anonymous_file(size: int) -> int:
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("stpn-batch", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as named:
            file = os.dup(named.fileno())
    with suppress(OSError):  # reserve the memory now: later, running out is a bus error
        if hasattr(os, "posix_fallocate") and size:
            os.posix_fallocate(file, 0, size)
    os.ftruncate(file, size)
    return file


def _mapped(file: int, size: int) -> Tensor:
    return torch.frombuffer(mmap.mmap(file, size), dtype=torch.uint8)
