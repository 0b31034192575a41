"""Torch checkpoints (`torch.save` since 1.6): zip files with members stored as they are."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

import torch

from stpn_core.errors import InputError
from stpn_core.weights.pickle_scan import scan_pickle

END_OF_ZIP = 22  # bytes of the closing record when the archive has no comment
END_OF_ZIP64 = 56 + 20  # and of the two records that can precede it
MAX_DIRECTORY = 4 << 20  # bytes; some 40,000 tensors
# A pickle instruction of one byte makes an object of up to 216 (an empty set).
STEPS_FREE, BYTES_PER_STEP = 250_000, 128


@dataclass(frozen=True)
class _Archive:
    pickle: bytes
    records: dict[str, int]  # bytes of each storage by key


class _StandIn:
    """Takes the place of objects of training code, whose content is not read."""

    def __setstate__(self, state: object) -> None:
        pass


def read_torch_zip(file: BinaryIO, size: int, where: str) -> object:
    """What `torch.save` wrote: a tensor, or containers of tensors, numbers and strings.

    file: open for reading, `size` bytes. where: the file, for messages.

    Raises:
        InputError: not such a file, damaged, compressed, or holding anything but plain data.
    """
    archive = _check_archive(file, size, where)
    max_steps = STEPS_FREE + size // BYTES_PER_STEP
    names = scan_pickle(archive.pickle, archive.records, max_steps=max_steps, where=where)
    file.seek(0)
    try:
        with torch.serialization.safe_globals([(_StandIn, name) for name in sorted(names)]):
            # Always explicit: the default can be switched off by an environment variable.
            return torch.load(file, map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:  # torch raises anything from EOFError to RuntimeError here
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"{where}: torch cannot read it: {reason[:300]}") from error


def _check_archive(file: BinaryIO, size: int, where: str) -> _Archive:
    _check_end(file, size, where)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            sizes = {member.filename: member.file_size for member in members}
            root = next(iter(sizes), "").split("/", 1)[0] + "/"
            _check_names(sizes, root, where)
            _check_members(members, size, where)
            pickle = archive.read(f"{root}data.pkl")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise InputError(f"{where}: damaged zip file: {error}; download it again") from error
    prefix = f"{root}data/"
    records = {n[len(prefix) :]: s for n, s in sizes.items() if n.startswith(prefix)}
    return _Archive(pickle, records)


def _check_end(file: BinaryIO, size: int, where: str) -> None:
    """Refuse what could be read in two ways, or would cost much memory only to list."""
    file.seek(max(0, size - END_OF_ZIP - END_OF_ZIP64))
    tail = file.read()
    end, end64 = tail[-END_OF_ZIP:], tail[:-END_OF_ZIP]
    if len(end) < END_OF_ZIP or end[:4] != b"PK\5\6" or end[20:] != b"\0\0":
        raise InputError(
            f"{where}: starts as a torch file but does not end as one: cut off ({size} bytes), or "
            "followed by something else; download or copy it again"
        )
    (directory,) = struct.unpack("<I", end[12:16])
    if end64[-20:-16] == b"PK\6\7" and end64[:4] == b"PK\6\6":
        (directory,) = struct.unpack("<Q", end64[40:48])
    if directory > MAX_DIRECTORY:
        raise InputError(f"{where}: refused: a table of contents of {directory} bytes")


def _check_members(members: list[zipfile.ZipInfo], size: int, where: str) -> None:
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise InputError(
                f"{where}: refused: member {member.filename!r} is compressed; torch.save stores "
                "its members as they are, so that a small file cannot unfold into a large one"
            )
        if member.flag_bits & 0x1:
            raise InputError(f"{where}: refused: member {member.filename!r} is encrypted")
    total = sum(member.file_size for member in members)
    if total > size:
        raise InputError(f"{where}: refused: its members claim {total} bytes, the file has {size}")
    if min(member.header_offset for member in members) != 0:
        raise InputError(f"{where}: refused: something was put in front of the zip file")
    if len({member.filename for member in members}) < len(members):
        raise InputError(f"{where}: refused: two members have the same name")


def _check_names(names: dict[str, int], root: str, where: str) -> None:
    inside = {name[len(root) :] for name in names if name.startswith(root)}
    if any(name.startswith("code/") or name == "constants.pkl" for name in inside):
        raise InputError(
            f"{where}: refused: a TorchScript program, not weights; save its state_dict() instead"
        )
    if inside & {"archive_format", "archive_version"} or any(
        name.endswith((".pt2", "models/model.json")) for name in inside
    ):
        raise InputError(f"{where}: refused: an exported program (.pt2), not weights")
    if "data.pkl" not in inside:
        some = ", ".join(sorted(names)[:3])
        raise InputError(f"{where}: a zip file, but not one that torch.save wrote (it has {some})")
    if len(inside) < len(names):
        raise InputError(f"{where}: refused: members lie outside the folder {root!r}")
