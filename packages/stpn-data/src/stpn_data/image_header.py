"""What an image file says it is, read from its first bytes without decoding anything."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from stpn_data.errors import DataError
from stpn_data.paths import read_file

MAX_BYTES = 256 * 1024 * 1024  # of an image file
_FIRST = 64 * 1024
_EXIF = b"Exif\0\0"
_MAX_SCANS = 500  # of a progressive JPEG; each scan costs a pass over the whole image


class ImageHeader(NamedTuple):
    """Type by content (never by file name), size in pixels as stored (orientation tags ignored)."""

    format: str  # JPEG, PNG, GIF, WEBP, BMP: Pillow's names
    width: int
    height: int
    plain: bool  # an 8-bit grey or colour JPEG, which every JPEG decoder reads alike
    exif: tuple[int, ...] = ()  # where the types of EXIF segments stand, JPEG only


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(width, height) of an image file as stored, from its header. Raises DataError naming it."""
    where = os.fspath(path)
    data = read_file(path, MAX_BYTES, first=_FIRST)
    try:
        header = read_header(data, where)
    except DataError:
        if len(data) < _FIRST:
            raise
        header = read_header(read_file(path, MAX_BYTES), where)  # much metadata before the size
    return header.width, header.height


def read_header(data: bytes | bytearray | memoryview, where: str) -> ImageHeader:
    """Type and size of an image from its first bytes (all of a JPEG up to its frame header).

    Raises DataError that names `where`: empty, no image, a type not read here, or cut in the
    header.
    """
    data = memoryview(data)
    start = bytes(data[:16])
    if not start:
        raise DataError(f"{where}: the file is empty")
    try:
        if start.startswith(b"\xff\xd8\xff"):
            return _jpeg(data, where)
        if start.startswith(b"\x89PNG\r\n\x1a\n") and start[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            return _checked(ImageHeader("PNG", width, height, False), where)
        if start[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack_from("<HH", data, 6)
            return _checked(ImageHeader("GIF", width, height, False), where)
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return _checked(_webp(data, where), where)
        if start[:2] == b"BM" and struct.unpack_from("<I", data, 14)[0] >= 40:
            width, height = struct.unpack_from("<ii", data, 18)
            return _checked(ImageHeader("BMP", width, abs(height), False), where)
    except (struct.error, IndexError):
        raise DataError(f"{where}: the image is cut off in its header") from None
    raise DataError(
        f"{where}: not a JPEG, PNG, WebP, GIF or BMP image (it begins with {start[:8]!r})"
    )


def _checked(header: ImageHeader, where: str) -> ImageHeader:
    if header.width < 1 or header.height < 1:
        raise DataError(f"{where}: the image header says {header.width}×{header.height} pixels")
    return header


def _jpeg(data: memoryview, where: str) -> ImageHeader:
    exif: list[int] = []
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        mark, kind = data[at], data[at + 1]
        if mark != 0xFF or kind in (0x00, 0xD8, 0xD9, 0xDA):
            raise DataError(f"{where}: a JPEG without a frame header")
        if kind == 0x01 or 0xD0 <= kind <= 0xD7:  # markers without content
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2:
            raise DataError(f"{where}: a JPEG segment of length {length}")
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            bits, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
            if kind == 0xC2 and bytes(data).count(b"\xff\xda") > _MAX_SCANS:
                raise DataError(f"{where}: a progressive JPEG of more than {_MAX_SCANS} scans")
            plain = bits == 8 and components in (1, 3)
            return _checked(ImageHeader("JPEG", width, height, plain, tuple(exif)), where)
        if kind == 0xE1 and bytes(data[at + 4 : at + 10]) == _EXIF:
            exif.append(at + 1)
        at += 2 + length


def _webp(data: memoryview, where: str) -> ImageHeader:
    kind = bytes(data[12:16])
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
        if len(data) < 30:
            raise IndexError
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise DataError(f"{where}: a WebP file without an image")
    return ImageHeader("WEBP", width, height, False)
