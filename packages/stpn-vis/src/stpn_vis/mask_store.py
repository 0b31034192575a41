"""Mask logits of a whole video while nobody knows yet which queries will be wanted.

Which ten of a hundred queries count is known after the last frame. Until then all are kept: in
memory up to a limit, beyond it in a temporary file.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpn_core.errors import InputError, StpnError

DEFAULT_LIMIT = 1 << 30
_RESERVE = 256 << 20  # free disk that is left to others


class MaskStore:
    """Masks (Q, h, w) of frame after frame, of which some queries are read back later.

    half: keep 16-bit numbers, half the space; a pixel whose logit is within rounding of 0 may then
    change sides. limit: bytes kept in memory. folder: where the temporary file goes; None for the
    system's place. Used in a `with` block, after which nothing remains.
    """

    def __init__(
        self, *, half: bool = False, limit: int = DEFAULT_LIMIT, folder: str | None = None
    ) -> None:
        self.dtype: np.dtype[np.float16 | np.float32] = np.dtype(np.float16 if half else np.float32)
        self.limit = limit
        self.folder = folder
        self.held = 0  # bytes in memory
        self.frames: list[NDArray[np.floating] | tuple[int, tuple[int, ...]]] = []
        self.file: int | None = None
        self.written = 0

    def __enter__(self) -> MaskStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.frames.clear()
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def __len__(self) -> int:
        return len(self.frames)

    def append(self, masks: Tensor) -> None:
        """Keep the masks (Q, h, w) of the next frame. Raises StpnError if the disk is full."""
        array = np.ascontiguousarray(masks.float().cpu().numpy().astype(self.dtype))
        if self.held + array.nbytes <= self.limit:
            self.frames.append(array)
            self.held += array.nbytes
            return
        self._write(array)

    def read(self, t: int, queries: Sequence[int]) -> Tensor:
        """Masks (k, h, w) float32 of chosen queries of frame t."""
        frame = self.frames[t]
        if isinstance(frame, np.ndarray):
            chosen = frame[list(queries)]
        else:
            place, shape = frame
            count = shape[1] * shape[2]
            size = count * self.dtype.itemsize
            parts = [os.pread(self._descriptor(), size, place + q * size) for q in queries]
            chosen = np.frombuffer(b"".join(parts), self.dtype).reshape(-1, *shape[1:])
        return torch.from_numpy(chosen.astype(np.float32))

    def _write(self, array: NDArray[np.floating]) -> None:
        folder = self.folder or tempfile.gettempdir()
        try:
            if shutil.disk_usage(folder).free < array.nbytes + _RESERVE:
                raise StpnError(
                    f"{folder}: no room for the masks of frame {len(self)}; set TMPDIR to a larger "
                    "disk, keep masks in half precision, or use the streaming mode, which keeps none"
                )
            os.lseek(self._descriptor(), self.written, os.SEEK_SET)
            view = memoryview(array.tobytes())
            while view:
                view = view[os.write(self._descriptor(), view) :]
        except OSError as error:
            raise StpnError(
                f"{folder}: masks cannot be kept there: {error.strerror or error}"
            ) from error
        self.frames.append((self.written, array.shape))
        self.written += array.nbytes

    def _descriptor(self) -> int:
        if self.file is None:
            try:
                self.file, name = tempfile.mkstemp(prefix="stpn-masks-", dir=self.folder)
                os.unlink(name)  # goes away with the process, however that ends
            except OSError as error:
                raise InputError(
                    f"{self.folder or tempfile.gettempdir()}: no temporary file can be made: "
                    f"{error.strerror or error}"
                ) from error
        return self.file
