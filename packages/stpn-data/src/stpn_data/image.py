"""One image file to one tensor: uint8 RGB, in the pixel grid that annotations refer to.

Orientation tags are ignored, because boxes are annotated in the stored grid and a rotated image
would silently no longer match them. JPEG goes to torchcodec or torchvision (2.5 times as fast as
Pillow, same pixels), everything else to Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from stpn_data.errors import DataError
from stpn_data.image_header import ImageHeader
from stpn_data.image_pixels import (
    DECODING_ERRORS,
    Source,
    checked_header,
    load,
    pillow_pixels,
    undecodable,
)


def decode_image(source: Source, *, expect_size: tuple[int, int] | None = None) -> Tensor:
    """Decode a JPEG, PNG, WebP, GIF (first frame) or BMP image into uint8 (3,H,W), RGB.

    The three values of a pixel lie together in memory (channels last), as resizing likes it.

    `source` is a path or the bytes of a file; `expect_size` is the (width, height) the annotation
    states. Grey, palette, alpha (dropped), CMYK and 16-bit images are converted. Raises DataError
    that names the file: unreadable, not an image, cut off, over 50 megapixels, or not of the
    expected size.
    """
    data, where = load(source)
    header = checked_header(data, where)
    if expect_size is not None and (header.width, header.height) != tuple(expect_size):
        raise DataError(
            f"{where}: the image is {header.width}×{header.height}, but its annotation says "
            f"{expect_size[0]}×{expect_size[1]}"
        )
    image = _decode(data, header, where)
    if image.shape != (3, header.height, header.width):
        raise DataError(f"{where}: the decoded size differs from the size in the file's header")
    return image


def _decode(data: bytearray, header: ImageHeader, where: str) -> Tensor:
    try:
        if header.plain:
            for at in header.exif:  # torchcodec turns the image as EXIF says: hide the block
                data[at] = 0xEF  # a segment of type APP15, which means nothing to anyone
            return _jpeg_decoder()(data, header)
        return _decode_pillow(data, header)
    except DECODING_ERRORS as error:
        raise undecodable(error, where) from error


@cache
def _jpeg_decoder() -> Callable[[bytearray, ImageHeader], Tensor]:
    """The fastest JPEG decoder that is installed and loads."""
    try:
        from torchcodec.decoders import decode_jpeg

        return lambda data, _: decode_jpeg(torch.frombuffer(data, dtype=torch.uint8), mode="RGB")
    except (ImportError, RuntimeError, OSError):
        pass
    try:
        from torchvision.io import ImageReadMode

        # The operator behind torchvision.io.decode_jpeg: that one warns of its deprecation on every
        # call, and silencing a warning is not safe in threads.
        decode = torch.ops.image.decode_jpeg
        mode = ImageReadMode.RGB.value
        return lambda data, _: decode(torch.frombuffer(data, dtype=torch.uint8), mode, False)
    except (ImportError, AttributeError, RuntimeError):
        return _decode_pillow


def _decode_pillow(data: bytearray, header: ImageHeader) -> Tensor:
    return torch.from_numpy(pillow_pixels(data, header)).permute(2, 0, 1)
