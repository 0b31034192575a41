"""The text files of ImageNet VID that say which frames belong to a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.paths import check_relative, read_file

MAX_BYTES = 256 * 1024 * 1024
FOLDERS = ("ImageSets/VID", "ImageSets/DET", "ImageSets", "Lists/VID", "Lists/DET", "Lists")


class Line(NamedTuple):
    """A path and the whole numbers that follow it."""

    path: str
    numbers: tuple[int, ...]
    place: str  # file and line, for messages


def find_list(base: Path, name: str) -> Path | None:
    """The list file `name`.txt in one of the usual folders under `base`."""
    return next(
        (file for folder in FOLDERS if (file := base / folder / f"{name}.txt").is_file()), None
    )


def read_list(path: Path, columns: int, on_defect: OnDefect) -> Iterator[Line]:
    """Lines of `path` followed by `columns` numbers. Blank lines, a BOM and CR LF are accepted.

    Other lines are defects. Raises DataError if the file cannot be read as UTF-8 text.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if not fields:
            continue
        place = f"{path}:{number}"
        numbers = _numbers(fields[1:])
        if numbers is None or len(numbers) != columns:
            wanted = f"a path and {columns} whole numbers"
            on_defect(Defect("list", place, f"expected {wanted}, found {line.strip()[:80]!r}"))
            continue
        try:
            yield Line(check_relative(fields[0], place), numbers, place)
        except DataError as error:
            on_defect(Defect("list", place, str(error).removeprefix(f"{place}: ")))


def _numbers(fields: Sequence[str]) -> tuple[int, ...] | None:
    if all(field.isascii() and field.isdecimal() and len(field) < 10 for field in fields):
        return tuple(int(field) for field in fields)
    return None
