"""One image file to an array of pixels, by Pillow; needs no torch.

The same pixels as `image.py` gives, which has faster decoders for JPEG.
"""

from __future__ import annotations

import os
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.image_header import MAX_BYTES, ImageHeader, read_header
from stpn_data.paths import read_file

MAX_PIXELS = 50_000_000
DECODING_ERRORS = (RuntimeError, OSError, SyntaxError, ValueError, EOFError)
"""What decoders raise on damaged files."""

Source = str | os.PathLike[str] | bytes | bytearray


def decode_pixels(source: Source) -> NDArray[np.uint8]:
    """(H, W, 3) RGB of an image file, or of its bytes; see `stpn_data.image.decode_image`."""
    data, where = load(source)
    header = checked_header(data, where)
    try:
        return pillow_pixels(data, header)
    except DECODING_ERRORS as error:
        raise undecodable(error, where) from error


def load(source: Source) -> tuple[bytearray, str]:
    """The bytes of a file, and what to call it in an error."""
    if isinstance(source, bytes | bytearray):
        return bytearray(source), "image"
    return read_file(source, MAX_BYTES), os.fspath(source)


def checked_header(data: bytearray, where: str) -> ImageHeader:
    """The header; DataError if there is none, or if it announces too many pixels."""
    header = read_header(data, where)
    if header.width * header.height > MAX_PIXELS:
        raise DataError(
            f"{where}: {header.width}×{header.height} is over {MAX_PIXELS // 10**6} megapixels"
        )
    return header


def undecodable(error: BaseException, where: str) -> DataError:
    """What a decoder's complaint is to a user."""
    reason = str(error).split("\n", 1)[0][:200] or type(error).__name__
    return DataError(f"{where}: the image cannot be decoded: {reason}")


def pillow_pixels(data: bytearray, header: ImageHeader) -> NDArray[np.uint8]:
    """(H, W, 3) RGB by Pillow. Raises one of DECODING_ERRORS."""
    from PIL import Image

    try:
        image = Image.open(BytesIO(data), formats=[header.format])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise OSError(f"larger than its header says: {error}") from error
    with image:
        if image.size != (header.width, header.height):  # a GIF's frame may exceed its screen
            raise OSError(f"larger than its header says: {image.size[0]}×{image.size[1]}")
        if image.mode.startswith("I;16") or image.mode == "I":
            grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        clear = "transparency" in image.info or image.mode in ("LA", "PA")
        return np.array((image.convert("RGBA") if clear else image).convert("RGB"))
