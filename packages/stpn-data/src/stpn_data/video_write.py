"""A video file from frames."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from stpn_data.errors import DataError

if TYPE_CHECKING:  # a process without torch writes arrays
    from torch import Tensor

Frame: TypeAlias = "Tensor | NDArray[np.uint8]"

_CODECS = ("libx264", "libopenh264", "mpeg4")  # what plays everywhere first
_QUALITY = {"libx264": {"crf": "20", "preset": "veryfast"}, "mpeg4": {"qscale": "3"}}


def write_video(
    path: str | os.PathLike[str], frames: Iterable[Frame], fps: float, *, codec: str | None = None
) -> int:
    """Write uint8 (3,H,W) RGB frames, tensors or arrays, to `path` (.mp4, .mkv, .mov or .avi).

    Returns their number. H.264 where it can be encoded, else MPEG-4; `codec` names another encoder
    of FFmpeg. The size is that of the first frame, made even by cutting off a last row or column;
    frames of another size are scaled to it. The file appears whole under its name or not at all;
    without frames there is none. Raises DataError if the folder or the format cannot be written.
    """
    target = Path(path)
    partial = target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")
    if not 0 < fps <= 1000:
        raise DataError(f"{target}: {fps} frames per second")
    try:
        count = _encode(partial, frames, fps, codec or _available())
        if count:
            with open(partial, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(partial, target)
        return count
    except DataError:
        raise
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{target}: the video cannot be written: {reason}") from error
    finally:
        partial.unlink(missing_ok=True)


def _available() -> str:
    return next(name for name in _CODECS if name in av.codecs_available)


def _encode(path: Path, frames: Iterable[Frame], fps: float, codec: str) -> int:
    count = 0
    stream: Any = None
    try:
        container = av.open(os.path.abspath(path), "w")
    except ValueError as error:
        raise DataError(f"{path.suffix or 'no ending'}: not the ending of a video file") from error
    with container:
        for image in frames:
            pixels = np.asarray(image).transpose(1, 2, 0)
            height, width = (max(2, side // 2 * 2) for side in pixels.shape[:2])
            if stream is None:
                rate = Fraction(fps).limit_denominator(1001)
                stream = container.add_stream(codec, rate=rate, options=_QUALITY.get(codec, {}))
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            even = np.ascontiguousarray(pixels[:height, :width])
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            # one thread: a pool of them would not survive a fork, and PyAV may share it between frames
            frame = frame.reformat(stream.width, stream.height, format="yuv420p", threads=1)
            frame.pts = count
            container.mux(stream.encode(frame))
            count += 1
        if stream is not None:
            container.mux(stream.encode(None))
    return count
