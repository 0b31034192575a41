"""Frames of a video file, a folder or a pattern as arrays: `stpn_data.video` without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.frame_files import frame_files
from stpn_data.image_pixels import decode_pixels
from stpn_data.video_decode import FileDecoder

FOLDER_FPS = 25.0  # assumed for folders, which do not say


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame: its number, uint8 (3, H, W) RGB, seconds, and its name."""

    index: int
    image: NDArray[np.uint8]
    time: float
    name: str


class FrameSource:
    """Frames of one input; may be iterated more than once.

    fps, length_hint (None: no idea); after an iteration `status` and `problems` say how it ended,
    as for `stpn_data.video.VideoSource`. Raises DataError that names the path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        images = frame_files(self._path)
        self._files = None if images is None else images[1]
        self.name = Path(self._path).stem if images is None else images[0]
        self.status = "unknown"
        self.problems: tuple[str, ...] = ()
        self.length_hint: int | None
        if self._files is None:
            decoder = FileDecoder(self._path)
            self.fps, self.length_hint = decoder.fps, decoder.length_hint
            decoder.close()
        else:
            self.fps, self.length_hint = FOLDER_FPS, len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        return self._decoded() if self._files is None else self._read(self._files)

    def _decoded(self) -> Iterator[Frame]:
        decoder = FileDecoder(self._path)
        try:
            for index, frame in enumerate(decoder):
                image = frame.pixels.transpose(2, 0, 1)
                yield Frame(index, image, frame.time, frame.name or f"{index:06d}")
        finally:
            decoder.close()
            self.status, self.problems = decoder.status, tuple(decoder.problems)

    def _read(self, files: list[str]) -> Iterator[Frame]:
        for index, file in enumerate(files):
            image = decode_pixels(file).transpose(2, 0, 1)
            yield Frame(index, image, index / self.fps, Path(file).stem)
        self.status = "complete"
