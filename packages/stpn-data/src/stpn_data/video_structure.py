"""Whether a video file is as long as it says. Decoders end quietly where a file was cut."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_TS_PACKET = 188
_EBML, _SEGMENT = 0x1A45DFA3, 0x18538067


def is_cut(path: str | os.PathLike[str]) -> bool | None:
    """True: the file ends before its own lengths say. False: it is whole. None: it does not tell.

    Knows mp4/mov, Matroska/WebM, AVI and MPEG-TS by their content. Raises OSError.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(12)
        file.seek(0)
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            return _mp4_cut(file, size)
        if start[:4] == b"\x1a\x45\xdf\xa3":
            return _matroska_cut(file, size)
        if start[:4] == b"RIFF":
            return _avi_cut(file, size)
        if start[:1] == b"\x47":
            return True if size % _TS_PACKET else None
    return None


def _mp4_cut(file: BinaryIO, size: int) -> bool | None:
    at = 0
    kinds = set()
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            rest = file.read(8)
            if len(rest) < 8:
                return True
            (length,) = struct.unpack(">Q", rest)
        elif length == 0:  # up to the end of the file, wherever that is
            return None
        if length < 8 or not kind.isalnum():
            break  # padding behind the last box
        kinds.add(kind)
        at += length
    if at > size:
        return True
    # fragments may stop after any of them, unless the table of all fragments closes the file
    return None if b"moof" in kinds and b"mfra" not in kinds else False


def _matroska_cut(file: BinaryIO, size: int) -> bool | None:
    at = 0
    for expected in (_EBML, _SEGMENT):
        file.seek(at)
        head = file.read(12)
        if len(head) < 5 or int.from_bytes(head[:4], "big") != expected:
            return None
        width = 9 - head[4].bit_length()  # bytes of the length that follows
        if width > 8 or len(head) < 4 + width:
            return None
        mask = (1 << (7 * width)) - 1
        length = int.from_bytes(head[4 : 4 + width], "big") & mask
        if length == mask:
            return None  # a live stream: length not known when it was written
        at += 4 + width + length
    return at > size


def _avi_cut(file: BinaryIO, size: int) -> bool:
    at = 0
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF":
            break
        at += 8 + length + length % 2
    return at > size + 1  # the last padding byte is often left out
