"""Boxes of one video while they are read, frame after frame."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class BoxRows:
    """Grows by one frame at a time; `columns` are the arguments of `stpn_data.index.Video`.

    `names` numbers class names in order of first appearance and may be shared by many videos;
    labels are those numbers until the reader knows which classes there are.
    """

    def __init__(self, names: dict[str, int]) -> None:
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
            self._labels.append(self._names.setdefault(name, len(self._names)))
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
