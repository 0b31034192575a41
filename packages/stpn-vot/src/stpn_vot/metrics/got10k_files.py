"""GOT-10k's labels and the toolkit's result files, read for evaluation.

A split holds `list.txt` and a folder per sequence with `groundtruth.txt` (x,y,w,h per frame),
`cover.label` (visible share in eighths) and `meta_info.ini`. Results of a tracker hold a folder per
sequence with `SEQUENCE_001.txt` (a box per frame), further repetitions `_002` and so on, and
`SEQUENCE_time.txt` (seconds per frame, a column per repetition).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from stpn_core.errors import InputError
from stpn_vot.metrics.got10k import Tracked
from stpn_vot.metrics.overlap import Array


def read_got10k_results(results: str | Path, split: str | Path) -> dict[str, Tracked]:
    """Every sequence of `split` (a folder with list.txt) with what a tracker answered there.

    Raises InputError naming the first file that is missing or cannot be used.
    """
    results, split = Path(results), Path(split)
    return {name: _tracked(name, split / name, results / name) for name in sequence_names(split)}


def sequence_names(split: Path) -> list[str]:
    """Names in list.txt, in order. Raises InputError if there is none."""
    names = [line.strip() for line in _text(split / "list.txt").splitlines() if line.strip()]
    if not names:
        raise InputError(f"{split / 'list.txt'}: names no sequence")
    if bad := next((name for name in names if Path(name).name != name or name == ".."), None):
        raise InputError(f"{split / 'list.txt'}: {bad!r} is no name of a folder beside it")
    return names


def _tracked(name: str, labels: Path, answers: Path) -> Tracked:
    truth = _numbers(labels / "groundtruth.txt", 4)
    cover_file = labels / "cover.label"
    if not cover_file.exists():
        raise InputError(
            f"{cover_file}: not there; the labels of the test split are not public, so evaluate on "
            "val, or submit to the benchmark's server"
        )
    cover = _numbers(cover_file, 1)[:, 0]
    if len(cover) != len(truth):
        raise InputError(f"{cover_file}: {len(cover)} lines for {len(truth)} boxes")
    files = sorted(answers.glob(f"{name}_[0-9][0-9][0-9].txt"))
    if not files:
        raise InputError(f"{answers}: no {name}_001.txt; every sequence of the split needs results")
    rows = [_numbers(file, 4) for file in files]
    for file, boxes in zip(files, rows, strict=True):
        if len(boxes) != len(truth):
            raise InputError(f"{file}: {len(boxes)} boxes for {len(truth)} frames")
        if not np.isfinite(boxes).all():
            raise InputError(f"{file}: a box is not finite")
    meta = _meta(labels / "meta_info.ini")
    times = answers / f"{name}_time.txt"
    return Tracked(
        truth,
        cover,
        np.stack(rows),
        _size(meta, labels),
        _numbers(times, len(rows)) if times.exists() else None,
        meta.get("object_class", ""),
    )


def _meta(path: Path) -> dict[str, str]:
    """Keys of meta_info.ini by name; a value may hold colons of its own (it is a URL there)."""
    pairs = (line.split(": ", 1) for line in _text(path).splitlines() if ": " in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _size(meta: dict[str, str], folder: Path) -> tuple[int, int]:
    found = re.fullmatch(r"\((\d+), *(\d+)\)", meta.get("resolution", ""))
    if found is None:
        raise InputError(
            f"{folder / 'meta_info.ini'}: needs a line 'resolution: (WIDTH, HEIGHT)' to bound boxes"
        )
    return int(found[1]), int(found[2])


def _numbers(path: Path, columns: int) -> Array:
    """Rows of `columns` numbers, separated by commas, blanks or tabs; nan is a number here."""
    rows = []
    for number, line in enumerate(_text(path).splitlines(), start=1):
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


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}") from error
