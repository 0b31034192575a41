"""Boxes of one video while they are read, frame after frame."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray


class NameTable:
    """Numbers class names in order of first appearance; threads may share one."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._lock = Lock()

    def number(self, name: str) -> int:
        found = self._numbers.get(name)
        if found is None:
            with self._lock:
                found = self._numbers.setdefault(name, len(self._numbers))
        return found

    @property
    def names(self) -> list[str]:
        return list(self._numbers)


class BoxRows:
    """Grows by one frame at a time; `columns` are the arguments of `stpn_data.index.Video`.

    Labels are the numbers of `names` until the reader knows which classes there are.
    """

    def __init__(self, names: NameTable) -> None:
        self._names = names
        self._counts = array("q")
        self._boxes = array("f")
        self._labels = array("h")
        self._tracks = array("i")
        self._flags = array("B")

    def add_frame(
        self,
        boxes: Sequence[Iterable[float]] = (),
        names: Iterable[str] = (),
        tracks: Iterable[int] = (),
        flags: Iterable[int] = (),
    ) -> None:
        """Append a frame and its boxes, all columns of the same length."""
        self._counts.append(len(boxes))
        for box in boxes:
            self._boxes.extend(box)
        for name in names:
            self._labels.append(self._names.number(name))
        self._tracks.extend(tracks)
        self._flags.extend(flags)

    def columns(self) -> dict[str, NDArray[Any]]:
        return {
            "box_counts": np.array(self._counts, np.int64),
            "boxes": np.array(self._boxes, np.float32).reshape(-1, 4),
            "labels": np.array(self._labels, np.int16),
            "tracks": np.array(self._tracks, np.int32),
            "flags": np.array(self._flags, np.uint8),
        }
