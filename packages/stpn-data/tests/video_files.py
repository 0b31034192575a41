"""Small video files for tests: frame i is a flat colour that tells i, so that mix-ups show."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def level(i: int) -> int:
    """Grey value of frame i."""
    return 16 + (i * 7) % 220


def make_video(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    *,
    fps: int = 10,
    ticks: Sequence[int] | None = None,
    codec: str = "mpeg4",
    options: dict[str, str] | None = None,
    corner: bool = False,
) -> Path:
    """Write a video; `ticks` are time stamps in units of 1/fps. `corner` paints the top left quarter
    of each frame white and the bottom left quarter black."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps, options={"g": "4", "bf": "0"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for i in range(frames):
            pixels = np.full((size[1], size[0], 3), level(i), np.uint8)
            if corner:
                pixels[: size[1] // 2, : size[0] // 2] = 255
                pixels[size[1] // 2 :, : size[0] // 2] = 0
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = i if ticks is None else ticks[i]
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate_mp4(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Set the display matrix of the (only) track of an mp4: (x, y) -> (ax + cy, bx + dy)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix = at + (40 if data[at] == 0 else 52)
    values = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    path.write_bytes(data)
