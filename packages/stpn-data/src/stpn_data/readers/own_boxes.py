"""Boxes of one video in a CSV file or in JSON lines, as a person would write them.

    frame,x1,y1,x2,y2,label,track           {"frame": 0, "boxes": [[12, 30, 80, 95]],
    0,12,30,80,95,car,1                      "labels": ["car"], "tracks": [1]}
    1,,,,,,                                 {"frame": 1, "boxes": [], "labels": []}

`frame` is the name of a frame's file or the number in that name; for a video file it is the
position, counted from 0. A frame without boxes says that someone looked and found nothing; a frame
that is not mentioned was not looked at.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.paths import read_file

SUFFIXES = (".csv", ".jsonl")
MAX_BYTES = 1 << 30
_CORNERS = ("x1", "y1", "x2", "y2")
_EXTENTS = ("x", "y", "width", "height")
_LABELS = ("label", "class", "name")


@dataclass
class FrameBoxes:
    """What a file says about one frame."""

    place: str  # file and line
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)  # x1 y1 x2 y2
    names: list[str] = field(default_factory=list)
    tracks: list[int] = field(default_factory=list)  # -1 where there is none
    size: tuple[int, int] | None = None  # width, height as stated, where they are


def read_own_boxes(path: Path, on_defect: OnDefect) -> dict[str, FrameBoxes]:
    """Boxes by frame (number or file name, as text), in the order of the file.

    Faulty lines are defects. Raises DataError if the file is no text or has no usable header.
    """
    try:
        text = read_file(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    frames: dict[str, FrameBoxes] = {}
    rows = _csv(path, text) if path.suffix.lower() == ".csv" else _json_lines(text)
    for number, row in rows:
        place = f"{path}:{number}"
        try:
            frame, boxes, names, tracks = row()
        except (DataError, ValueError, RecursionError, TypeError, KeyError) as error:
            on_defect(Defect("boxes", place, str(error) or type(error).__name__))
            continue
        entry = frames.setdefault(frame, FrameBoxes(place))
        entry.boxes += boxes
        entry.names += names
        entry.tracks += tracks
    return frames


_Row = tuple[str, list[tuple[float, float, float, float]], list[str], list[int]]


def _csv(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        sides = next((s for s in (_CORNERS, _EXTENTS) if set(s) <= set(header)), None)
        label = next((name for name in _LABELS if name in header), None)
        if sides is None or label is None or "frame" not in header:
            raise DataError(
                f"{path}: the first line must name the columns: frame,x1,y1,x2,y2,label and, if you "
                f"like, track; found {','.join(header)[:100]!r}"
            )
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, lambda: _csv_row(header, fields, sides, label)  # noqa: B023
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}") from error


def _csv_row(header: list[str], fields: list[str], sides: tuple[str, ...], label: str) -> _Row:
    if len(fields) != len(header):
        raise DataError(f"{len(fields)} fields, but the header names {len(header)}")
    row = dict(zip(header, (field.strip() for field in fields), strict=True))
    if not row["frame"]:
        raise DataError("no frame")
    if not any(row[name] for name in (*sides, label)):
        return row["frame"], [], [], []
    if not row[label]:
        raise DataError("a box without a label")
    track = row.get("track") or "-1"
    return row["frame"], [_box([float(row[s]) for s in sides], sides)], [row[label]], [int(track)]


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, lambda: _json_row(json.loads(line))  # noqa: B023


def _json_row(entry: Any) -> _Row:
    if not isinstance(entry, dict) or not isinstance(entry.get("frame"), int | str):
        raise DataError('expected {"frame": …, "boxes": […], "labels": […]}')
    boxes = [_box([_real(side) for side in box], _CORNERS) for box in entry.get("boxes", [])]
    names = entry.get("labels", [])
    tracks = entry.get("tracks", [-1] * len(boxes))
    if not len(boxes) == len(names) == len(tracks):
        raise DataError(f"{len(boxes)} boxes, {len(names)} labels, {len(tracks)} tracks")
    if not all(isinstance(name, str) and name for name in names):
        raise DataError("labels must be texts")
    return str(entry["frame"]), boxes, names, [-1 if t is None else int(t) for t in tracks]


def _real(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{str(value)[:40]!r} is no number")
    return float(value)


def _box(sides: list[float], names: tuple[str, ...]) -> tuple[float, float, float, float]:
    if len(sides) != 4 or not all(math.isfinite(side) and abs(side) < 1e9 for side in sides):
        raise DataError(f"a box must be four finite numbers, found {sides}")
    x1, y1, x2, y2 = sides
    return (x1, y1, x1 + x2, y1 + y2) if names is _EXTENTS else (x1, y1, x2, y2)
