"""Files of a data set: nothing named by an annotation or a list may lie outside the root.

Names from lists and JSON files are checked as text, and what lies on disk is resolved, so a
symbolic link that leads out of the root is refused as well. The root itself may be a link.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from stpn_data.errors import DataError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
VIDEO_SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mpg", ".mpeg"),
    *(".flv", ".ogv", ".wmv", ".3gp"),
)
MAX_NAME = 1024  # characters of a relative path; the longest real ones have 120

_DIGITS = re.compile(r"(\d+)")


def check_relative(name: str, where: str) -> str:
    """`name` if it is a plain relative path: no root, drive, `..`, `~`, backslash or control
    character.

    Raises DataError that shows the name and `where` it was read.
    """
    parts = name.split("/")
    bad = (
        not name
        or len(name) > MAX_NAME
        or name.startswith(("/", "~"))
        or "\\" in name
        or any(part in ("", ".", "..") for part in parts)
        or any(ord(character) < 32 for character in name)
        or re.match(r"[A-Za-z]:", name) is not None
    )
    if bad:
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        raise DataError(
            f"{where}: refusing the path {shown!r}: it must be relative to the data set's root, "
            "with / between folders and no '..'"
        )
    return name


def resolve_inside(root: Path, name: str, where: str) -> str:
    """Absolute path of `name` under `root`, links resolved. It need not exist.

    Raises DataError if the name is not a plain relative path or leads out of the root.
    """
    base = os.path.realpath(root)
    path = os.path.realpath(os.path.join(base, check_relative(name, where)))
    if path != base and not path.startswith(base.rstrip(os.sep) + os.sep):
        raise DataError(
            f"{where}: {name!r} is a link that leads out of the data set ({path}); "
            f"move the files under {base}, or give the folder it points to as the root"
        )
    return path


def list_files(root: Path, folder: str, suffixes: tuple[str, ...]) -> set[str]:
    """Names of the files in `folder` (absolute, resolved) that end in one of `suffixes`, any case.

    A missing folder has none. Raises DataError for a link that leads out of `root`.
    """
    return {name for name, is_folder in _entries(root, folder, suffixes) if not is_folder}


def walk_folders(root: Path, folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """Folders at or below `folder` that hold such files, relative to it ("" for itself), sorted.

    Raises DataError for a link that leads out of `root` or back to a folder that holds it.
    """
    found, waiting = [], [("", os.path.realpath(folder))]
    while waiting:
        below, path = waiting.pop()
        holds = False
        for name, is_folder in _entries(root, path, suffixes):
            if is_folder:
                inner = os.path.realpath(os.path.join(path, name))
                if path == inner or path.startswith(inner + os.sep):
                    raise DataError(f"{path}/{name}: a link to a folder that holds it")
                waiting.append((f"{below}/{name}" if below else name, inner))
            else:
                holds = True
        if holds:
            found.append(below)
    return sorted(found, key=natural_key)


def walk_files(root: Path, folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files at or below `folder` with one of `suffixes`, relative to it, in natural order."""
    found = []
    for inside in walk_folders(root, folder, suffixes):
        here = os.path.join(os.path.realpath(folder), inside)
        found += [f"{inside}/{name}".lstrip("/") for name in list_files(root, here, suffixes)]
    return sorted(found, key=natural_key)


def _entries(root: Path, folder: str, suffixes: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """(name, is a folder) of the folders in `folder` and of its files with one of `suffixes`."""
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed: {_reason(error)}") from error
    for entry in entries:
        name = entry.name
        if name.startswith("."):
            continue
        wanted = name.lower().endswith(suffixes)
        if entry.is_symlink() and (wanted or entry.is_dir()):
            inside = os.path.relpath(entry.path, os.path.realpath(root))
            resolve_inside(root, inside, folder)
        if entry.is_dir():
            yield name, True
        elif wanted and entry.is_file():
            yield name, False


def read_file(path: str | os.PathLike[str], limit: int, *, first: int | None = None) -> bytearray:
    """Content of a regular file of at most `limit` bytes, or its `first` bytes.

    Raises DataError that names the file: absent, unreadable, too large, or a pipe or device (which
    could block for ever).
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: {_reason(error)}") from error
    except ValueError as error:  # a NUL character
        raise DataError(f"{os.fspath(path)!r} is not a file name") from error
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{os.fspath(path)}: not a regular file")
        if status.st_size > limit:
            raise DataError(
                f"{os.fspath(path)}: {status.st_size:,} bytes, more than the {limit:,} allowed"
            )
        want = status.st_size if first is None else min(first, status.st_size)
        data = bytearray()
        while len(data) < want and (piece := os.read(handle, want - len(data))):
            data += piece
        return data
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: {_reason(error)}") from error
    finally:
        os.close(handle)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts `frame2` before `frame10`; ties are broken by the text itself."""
    return [
        (0, int(part), part) if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in _DIGITS.split(name)
        if part
    ]


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "no such file"
    if error.errno == errno.EISDIR:
        return "is a folder, expected a file"
    return error.strerror or str(error)
