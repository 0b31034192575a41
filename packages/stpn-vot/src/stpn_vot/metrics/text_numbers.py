"""Numbers in text files: labels, boxes and times."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from stpn_core.errors import InputError
from stpn_vot.metrics.overlap import Array


def read_numbers(path: Path, columns: int) -> Array:
    """Rows of `columns` numbers, separated by commas, blanks or tabs; nan is a number here.

    Raises InputError naming file and line.
    """
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        parts = [part for part in re.split(r"[,\s]+", line.strip()) if part]
        if not parts:
            continue
        try:
            rows.append([float(part) for part in parts])
        except ValueError as error:
            raise InputError(f"{path}, line {number}: {error}") from error
        if len(parts) != columns:
            raise InputError(f"{path}, line {number}: {len(parts)} numbers instead of {columns}")
    return np.array(rows, float).reshape(-1, columns)


def read_text(path: Path) -> str:
    """Content of a UTF-8 file. Raises InputError that names it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
