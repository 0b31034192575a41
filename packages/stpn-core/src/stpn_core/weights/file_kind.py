"""Which kind of file this is, by its first bytes; what holds no weights is refused by its name."""

from __future__ import annotations

import difflib
import json
import shlex
import stat
import struct
from pathlib import Path
from typing import Literal

from stpn_core.errors import InputError

Kind = Literal["torch", "safetensors", "pickle"]

_LEGACY_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # torch.save's magic number before 1.6
_OTHER = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; run `git lfs pull`"),
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"PK\5\6", "an empty zip file"),
    (b"{", "a JSON text, perhaps an error message of the server; download it again"),
)


def regular_file_size(path: Path) -> int:
    """Size in bytes of the regular, readable, non-empty file at `path`, or InputError."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file{_nearest(path)}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be opened: {error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: {_directory(path)}")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path}: not a regular file")
    if status.st_size == 0:
        raise InputError(f"{path}: the file is empty; download or copy it again")
    return status.st_size


def kind_of(head: bytes, size: int, where: str) -> Kind:
    """The kind of a file of `size` bytes that starts with `head` (its first 512 bytes)."""
    if head[:4] == b"PK\3\4":
        return "torch"
    if len(head) > 8 and head[8:9] == b"{":
        (length,) = struct.unpack("<Q", head[:8])
        if length < 1 << 40:  # a cut file has a header longer than itself; text has 2^60
            return "safetensors"
    text = head.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        raise InputError(
            f"{where}: a web page, not weights (a login or error page of the server?); "
            "download the file again"
        )
    if _LEGACY_TORCH in head[:32]:
        rewrite = f'torch.save(torch.load({json.dumps(where)}, weights_only=True), "new.pth")'
        raise InputError(
            f"{where}: refused: torch's format from before 1.6. Rewrite it once with\n"
            f"  python -c {shlex.quote('import torch; ' + rewrite)}\nand use new.pth"
        )
    for start, what in _OTHER:
        if head.startswith(start):
            raise InputError(f"{where}: {what}")
    if head[:1] == b"\x80" and head[1:2] in (b"\1", b"\2", b"\3", b"\4", b"\5"):
        return "pickle"
    if head[257:262] == b"ustar":
        raise InputError(f"{where}: a tar archive; unpack it first")
    raise InputError(
        f"{where}: neither a torch nor a safetensors file ({size} bytes, starting with "
        f"{head[:8].hex(' ')}); if it should be one, download or copy it again"
    )


def _directory(path: Path) -> str:
    if (path / ".metadata").exists():
        return (
            "refused: a distributed checkpoint (its .metadata is a pickle that runs code when "
            "read); turn it into one file where it was made "
            "(`python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE`)"
        )
    return "a directory; name the file in it"


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f" (and no folder {path.parent})"
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.parent / near[0]}?" if near else ""
