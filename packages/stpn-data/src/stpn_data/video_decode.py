"""Frames of a video file, by PyAV. Needs numpy and av only, so that a small child process can run
it.

A video file is untrusted: it may be a playlist that names other files or addresses, it may declare
two billion frames, be cut, or change its size half-way. Only container formats are opened, only
from the one local file, nothing is allocated from declared counts, and each decoded frame stands
for itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any, NamedTuple

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.video_structure import is_cut

MAX_PIXELS = 50_000_000
DEFAULT_FPS = 25.0
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,h264,hevc,gif"
)
_NAMED_PROBLEMS = 5


# A title that is not UTF-8 is no reason to refuse a video; PyAV 19 has no such option any more.
_TOLERANT: dict[str, Any] = (
    {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
)


class Decoded(NamedTuple):
    """One frame as a player shows it."""

    pixels: NDArray[np.uint8]  # (H,W,3) RGB
    time: float  # seconds, from the frame's own time stamp
    name: str = ""  # where frames have names


class FileDecoder:
    """One pass over the frames of one file. `status` and `problems` are final after the last frame.

    status is `complete`, `truncated` (the file ends early, or part of it could not be decoded) or
    `unknown` (nothing went wrong, but the format does not say how long the video should be).
    """

    def __init__(self, path: str, threads: int = 0) -> None:
        """Open `path`; `threads` 0 takes as many as there are cores. Raises DataError naming it."""
        self.path = path
        self.status = "unknown"
        self.problems: list[str] = []
        self._count_problems = 0
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise DataError(f"{path}: not a regular file")
            self._cut = is_cut(path)
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{path}: cannot be read: {reason}") from error
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        try:
            self._container = av.open(os.path.abspath(path), options=options, **_TOLERANT)
        except (FFmpegError, OSError, ValueError) as error:
            raise DataError(
                f"{path}: not a video file that can be read (mp4, mov, mkv, webm, avi, ts, mpg, "
                f"flv, ogg, wmv, gif), or damaged at its start: {_reason(error)}"
            ) from error
        try:
            self._stream = _picture_stream(self._container, path, self._cut)
            context = self._stream.codec_context
            context.options = {"max_pixels": str(MAX_PIXELS)}
            context.thread_type = "AUTO"
            context.thread_count = threads
        except BaseException:
            self._container.close()
            raise
        rate = float(self._stream.average_rate or self._stream.guessed_rate or 0)
        self.fps = rate if 0 < rate <= 1000 else DEFAULT_FPS
        self.length_hint = self._guess_length()

    def __iter__(self) -> Iterator[Decoded]:
        count, time = 0, -1 / self.fps
        # AVI stores no time stamps; libav makes some up, in the order of decoding
        stamped = self._container.format.name != "avi"
        try:
            for frame in self._frames():
                known = stamped and frame.time is not None
                time = float(frame.time) if known else time + 1 / self.fps
                pixels = self._pixels(frame)
                if pixels is not None:
                    count += 1
                    yield Decoded(pixels, time)
            self._conclude(count)
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; iteration ends."""
        self._container.close()

    def _frames(self) -> Iterator[Any]:
        try:
            for packet in self._packets():
                try:
                    frames = packet.decode()
                except FFmpegError as error:
                    self._problem(f"a packet cannot be decoded: {_reason(error)}")
                    continue
                yield from frames
        except FFmpegError as error:
            self._problem(f"reading stopped: {_reason(error)}")

    def _packets(self) -> Iterator[Any]:
        while True:
            try:
                yield from self._container.demux(self._stream)
                return
            except IndexError:  # PyAV's answer to a stream that was not there at the start
                self._problem("another stream begins half-way")

    def _pixels(self, frame: Any) -> NDArray[np.uint8] | None:
        if frame.is_corrupt:
            self._problem("a frame is damaged")
        try:
            return _upright(frame.to_ndarray(format="rgb24", threads=1), frame)
        except (FFmpegError, ValueError) as error:
            self._problem(f"a frame cannot be converted to RGB: {_reason(error)}")
            return None

    def _problem(self, text: str) -> None:
        self._count_problems += 1
        if len(self.problems) < _NAMED_PROBLEMS:
            self.problems.append(text)

    def _conclude(self, count: int) -> None:
        if self._cut:
            self._problem("the file ends before its own lengths say")
        if self._count_problems > len(self.problems):
            self.problems.append(f"{self._count_problems} problems in all")
        if self._count_problems:
            self.status = "truncated"
        elif self._cut is False and count >= (self._stream.frames or 0):
            self.status = "complete"

    def _guess_length(self) -> int | None:
        """Declared or estimated number of frames: for a progress bar, never for an allocation."""
        count = self._stream.frames
        if not count and self._container.duration:
            count = round(self._container.duration / 1e6 * self.fps)
        return count if 0 < count <= os.stat(self.path).st_size else None


def _picture_stream(container: Any, path: str, cut: bool | None) -> Any:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:  # a cover is no video
            if stream.codec_context is None:
                raise DataError(f"{path}: no decoder for its video")
            return stream
    why = "; the file is cut off" if cut else ""
    raise DataError(f"{path}: holds no video, only {_kinds(container)}{why}")


def _kinds(container: Any) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _upright(pixels: NDArray[np.uint8], frame: Any) -> NDArray[np.uint8]:
    """Turn and mirror as the frame's display matrix says (multiples of 90 degrees only).

    The matrix sends pixel (x, y) to (a·x + c·y, b·x + d·y).
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5] / 65536
    if abs(b) + abs(c) > abs(a) + abs(d):  # a quarter turn: rows become columns
        pixels, across, down = pixels.transpose(1, 0, 2), c, b
    else:
        across, down = a, d
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
