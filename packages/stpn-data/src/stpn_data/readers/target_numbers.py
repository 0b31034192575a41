"""The small text files of tracking sets: boxes and labels, a row per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.paths import read_file

MAX_BYTES = 64 * 1024 * 1024  # of one file; the longest real one has a few hundred kilobytes


def read_text(path: Path) -> str:
    """Content of a UTF-8 file, with or without a BOM. Raises DataError that names it."""
    try:
        return read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error


def read_boxes(path: Path) -> NDArray[np.float64]:
    """(n,4) x, y, width, height, a line per frame, separated by commas, tabs or blanks.

    `nan` and `inf` are numbers here. Raises DataError with file and line; a blank line between rows
    is an error, as all below it would belong to another frame.
    """
    rows = []
    for number, line in enumerate(_lines(path), 1):
        try:
            sides = [float(part) for part in line.replace(",", " ").split()]
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        if len(sides) != 4:
            raise DataError(f"{path}:{number}: {len(sides)} numbers, expected x,y,width,height")
        rows.append(sides)
    if not rows:
        raise DataError(f"{path}: holds no box")
    return np.array(rows, np.float64)


def read_levels(path: Path, highest: int, *, one_line: bool = False) -> NDArray[np.int64]:
    """(n,) whole numbers 0 to `highest`: one per line, or (`one_line`) all in a line with commas.

    Raises DataError with file and line, or place in the line.
    """
    if one_line:
        parts = " ".join(_lines(path)).replace(",", " ").split()
    else:
        parts = [line.strip().rstrip(",") for line in _lines(path)]
    levels = np.empty(len(parts), np.int64)
    for number, part in enumerate(parts, 1):
        try:
            value = float(part)
        except ValueError:
            value = -1.0
        if not (0 <= value <= highest and value == int(value)):
            where = f"{path}: value {number}" if one_line else f"{path}:{number}"
            raise DataError(f"{where}: {part[:40]!r}, expected a whole number from 0 to {highest}")
        levels[number - 1] = int(value)
    return levels


def read_meta(path: Path) -> dict[str, str]:
    """Keys and values of `key: value` lines; a value may hold colons of its own (times, a URL)."""
    pairs = (line.partition(":") for line in read_text(path).splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _lines(path: Path) -> list[str]:
    return read_text(path).rstrip().splitlines()
