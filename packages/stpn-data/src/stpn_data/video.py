"""Frames one by one from a video file, a folder of frames or a pattern such as `walk/*.jpg`.

with open_video("walk.mp4") as video:
    for frame in video:
        frame.image  # uint8 (3,H,W) RGB, the right way up
video.status  # "complete", "truncated" or "unknown"
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

import torch
from torch import Tensor

from stpn_data.frame_files import frame_files
from stpn_data.image import decode_image
from stpn_data.video_decode import Decoded, FileDecoder
from stpn_data.video_isolated import IsolatedDecoder

FOLDER_FPS = 25.0  # assumed for folders, which do not say


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One decoded frame."""

    index: int  # 0, 1, 2 … without gaps
    image: Tensor  # uint8 (3,H,W), RGB, channels last in memory
    time: float  # seconds; from the file's time stamps, so a variable rate stays variable
    name: str  # file name without its ending, or the index as six digits


class FrameReader(Protocol):
    """One pass over something that holds frames; `status` and `problems` are final at its end."""

    fps: float
    length_hint: int | None
    status: str
    problems: list[str]

    def __iter__(self) -> Iterator[Decoded]: ...
    def close(self) -> None: ...


class VideoSource:
    """An opened video: iterate it for `VideoFrame`s, once or several times; use it as a context.

    `fps` is the average rate, `length_hint` a guess for progress bars (None: no idea). After an
    iteration `status` is "complete", "truncated" (the file ends early or part of it could not be
    decoded; `problems` says what) or "unknown" (the format cannot tell).
    """

    def __init__(self, name: str, open_pass: Callable[[], FrameReader]) -> None:
        self.name = name
        self._open_pass = open_pass
        self._reader = open_pass()
        self._fresh = True
        self.fps = self._reader.fps
        self.length_hint = self._reader.length_hint

    @property
    def status(self) -> str:
        return self._reader.status

    @property
    def problems(self) -> tuple[str, ...]:
        return tuple(self._reader.problems)

    def __iter__(self) -> Iterator[VideoFrame]:
        if not self._fresh:
            self._reader.close()
            self._reader = self._open_pass()
        self._fresh = False
        for index, decoded in enumerate(self._reader):
            image = torch.from_numpy(decoded.pixels).permute(2, 0, 1)
            yield VideoFrame(index, image, decoded.time, decoded.name or f"{index:06d}")

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()

    def __enter__(self) -> VideoSource:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_video(
    path: str | os.PathLike[str], *, threads: int = 0, isolated: bool = False
) -> VideoSource:
    """Open a video file, a folder of frames (in natural order) or a glob pattern of frames.

    `threads` 0 decodes with as many as there are cores. `isolated` decodes a video file in a child
    process with bounded memory, so that a crash of the decoder is a DataError here; worth its cost
    (a copy of each frame) for files from strangers. Only local files are opened, never what a
    playlist inside names. Rotation stored in the file is applied; pixels that are not square stay
    as they are. Raises DataError that names the path.
    """
    text = os.fspath(path)
    images = frame_files(text)
    if images is not None:
        name, files = images
        return VideoSource(name, lambda: _ImageReader(files))
    if isolated:
        return VideoSource(Path(text).stem, lambda: IsolatedDecoder(text, threads))
    return VideoSource(Path(text).stem, lambda: FileDecoder(text, threads))


class _ImageReader:
    def __init__(self, files: list[str]) -> None:
        self._files = files
        self.fps = FOLDER_FPS
        self.length_hint: int | None = len(files)
        self.status = "unknown"
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Decoded]:
        for index, file in enumerate(self._files):
            pixels = decode_image(file).permute(1, 2, 0).numpy()
            yield Decoded(pixels, index / self.fps, Path(file).stem)
        self.status = "complete"

    def close(self) -> None:
        """Nothing is held open."""
