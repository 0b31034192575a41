"""Passing a batch to another process: images in anonymous files, the rest in the message.

The loading process collates straight into the files, so nothing is copied, and they do not count
against /dev/shm, which containers keep small.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from dataclasses import fields
from math import prod
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stpn_data.batch import Batch

_IMAGES = ("frames", "support")


class Arena:
    """uint8 tensors that another process can map. Collate with `arena.zeros`, then send."""

    def __init__(self) -> None:
        self.files: list[int] = []

    def zeros(self, *shape: int, dtype: torch.dtype = torch.uint8) -> Tensor:
        """A zero tensor whose memory is a new anonymous file."""
        self.files.append(_anonymous_file(prod(shape)))
        return _mapped(self.files[-1], shape)

    def send(self, connection: Connection, batch: Batch) -> None:
        """Send a batch whose images and masks were made by `zeros`, in the order of `collate`."""
        apart = (*_IMAGES, "masks")
        message = {
            f.name: _to_numpy(getattr(batch, f.name)) for f in fields(Batch) if f.name not in apart
        }
        message |= {name: tuple(getattr(batch, name).shape) for name in _IMAGES}
        message["masks"] = None if batch.masks is None else [len(m) for m in batch.masks]
        connection.send(message)
        for file in self.files:
            send_handle(connection, file, os.getppid())

    def close(self) -> None:
        """Give up the files; they live on where they are mapped."""
        for file in self.files:
            os.close(file)
        self.files.clear()


def receive_batch(connection: Connection, message: dict[str, Any]) -> Batch:
    """The batch that belongs to a message written by `Arena.send`."""
    content = {name: _to_torch(value) for name, value in message.items()}
    for name in _IMAGES:
        content[name] = _received(connection, message[name])
    counts = message["masks"]
    if counts is not None:
        size = message["frames"][-2:]
        content["masks"] = list(_received(connection, (sum(counts), *size)).split(counts))
    return Batch(**content)


def _received(connection: Connection, shape: tuple[int, ...]) -> Tensor:
    file = recv_handle(connection)
    try:
        return _mapped(file, shape)
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


def _mapped(file: int, shape: tuple[int, ...]) -> Tensor:
    size = prod(shape)
    if not size:
        return torch.zeros(shape, dtype=torch.uint8)
    return torch.frombuffer(mmap.mmap(file, size), dtype=torch.uint8).view(shape)


def _to_numpy(value: Any) -> Any:
    """Tensors as arrays: those are pickled whole, where each tensor would cost a file."""
    if isinstance(value, Tensor):
        return value.numpy()
    return [_to_numpy(item) for item in value] if isinstance(value, list) else value


def _to_torch(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    return [_to_torch(item) for item in value] if isinstance(value, list) else value
