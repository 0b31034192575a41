"""Compression: JPEG frame by frame, or a video codec over the clip."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Literal

import numpy as np
from PIL import Image

from stpn_data.degrade.frames import Clip, FramesT, as_clip, checked_severity, like, unchanged
from stpn_data.errors import DataError

BEST_QUALITY, WORST_QUALITY = 90, 8  # JPEG, towards severity 0 and at severity 1
WORST_QUANTISER = 31  # MPEG-4's own scale, 1 is best


def compress(
    frames: FramesT,
    severity: float,
    rng: np.random.Generator,
    *,
    codec: Literal["jpeg", "mpeg4"] = "jpeg",
    downscale: float = 2.0,
) -> FramesT:
    """Encode and decode again.

    Args:
        frames: uint8 (T,3,H,W) or (3,H,W).
        severity: 0 (identity) to 1.
        rng: not drawn from; taken so that all degradations are called alike.
        codec: "jpeg" treats each frame alone; "mpeg4" codes later frames as differences to earlier
            ones, with the artefacts that follow.
        downscale: factor by which the picture is made smaller before encoding at severity 1, as
            services do at low bit rates; 1 keeps its size.
    """
    clip = as_clip(frames)
    if checked_severity(severity) == 0:
        return unchanged(frames)
    if codec not in ("jpeg", "mpeg4"):
        raise DataError(f'codec is "jpeg" or "mpeg4", not {codec!r}')
    if downscale < 1:
        raise DataError(f"downscale is a factor of 1 or more, not {downscale}")
    height, width = clip.shape[-2:]
    factor = 1 + (downscale - 1) * severity
    # even, since both codecs halve the colour planes
    small = tuple(max(2, 2 * round(side / factor / 2)) for side in (width, height))
    pictures = [Image.fromarray(frame.transpose(1, 2, 0)) for frame in clip]
    reduced = [picture.resize(small, Image.Resampling.BOX) for picture in pictures]
    coded = _jpeg(reduced, severity) if codec == "jpeg" else _mpeg4(reduced, severity)
    restored = [picture.resize((width, height), Image.Resampling.BICUBIC) for picture in coded]
    result: Clip = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture in restored])
    return like(result, frames)


def _jpeg(pictures: list[Image.Image], severity: float) -> list[Image.Image]:
    quality = round(BEST_QUALITY * (WORST_QUALITY / BEST_QUALITY) ** severity)
    decoded = []
    for picture in pictures:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
        decoded.append(Image.open(buffer).convert("RGB"))
    return decoded


def _mpeg4(pictures: list[Image.Image], severity: float) -> list[Image.Image]:
    import av  # only this codec needs it

    quantiser = max(2, round(WORST_QUANTISER * severity))
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(
            "mpeg4", rate=Fraction(25), options={"qmin": str(quantiser), "qmax": str(quantiser)}
        )
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the same bits on any machine
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as coded:
        coded.streams.video[0].thread_type = "NONE"
        decoded = [frame.to_image() for frame in coded.decode(video=0)]
    if len(decoded) != len(pictures):
        raise DataError(f"the mpeg4 codec gave {len(decoded)} frames for {len(pictures)}")
    return decoded
