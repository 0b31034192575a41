"""Results for a benchmark's server: written whole, packed as the server wants them, checked before
anybody uploads them.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stpn_core.errors import InputError, StpnError
from stpn_data import rle as run_lengths
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_vis.rle import as_json
from stpn_vis.video_ap import Track

MEMBER = "results.json"
"""Name of the file at the root of the zip; the servers refuse any other, and folders."""
_MOST_FAULTS = 50


@dataclass(frozen=True)
class Expected:
    """What results must fit: length and size (h, w) of each video by its id, and category ids."""

    videos: Mapping[int, tuple[int, tuple[int, int]]]
    categories: frozenset[int]


def expected_of(index: VideoIndex) -> Expected:
    """What results for the videos of `index` must fit. Raises InputError if it has no ids."""
    if index.masks is None:
        raise InputError(f"{index.source}: not a data set in YouTube-VIS layout, so it has no ids")
    lengths = np.diff(index.video_start)
    sizes = index.sizes[index.video_start[:-1]]
    return Expected(
        {
            int(number): (int(length), (int(height), int(width)))
            for number, length, (width, height) in zip(
                index.masks.video_ids, lengths, sizes.tolist(), strict=True
            )
        },
        frozenset(int(number) for number in index.masks.category_ids),
    )


def write_submission(path: str | Path, tracks: Iterable[Track]) -> int:
    """Write `path` (.zip) with the tracks as results.json at its root; returns their number.

    Written row by row, so that memory does not grow with them. The file appears whole under its
    name or not at all. Raises InputError for another ending, StpnError if it cannot be written.
    """
    path = Path(path)
    if path.suffix != ".zip":
        raise InputError(f"{path}: servers take a zip; name the file something.zip")
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    count = 0
    try:
        with open(partial, "wb") as file:
            with (
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed,
                packed.open(MEMBER, "w", force_zip64=True) as member,
            ):
                for track in tracks:
                    member.write(b",\n" if count else b"[\n")
                    member.write(json.dumps(_row(track), separators=(",", ":")).encode("ascii"))
                    count += 1
                member.write(b"\n]\n" if count else b"[]\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise StpnError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def check_submission(path: str | Path, expected: Expected) -> list[str]:
    """Everything that a server would refuse or misread, in words; nothing if there is nothing.

    path: the zip, or its results.json. Raises InputError if neither can be read.
    """
    path = Path(path)
    faults: list[str] = []
    rows = _read(path, faults)
    if not isinstance(rows, list):
        return [*faults, f"{MEMBER}: must be a list, not {type(rows).__name__}"]
    for number, row in enumerate(rows):
        faults += [f"result {number}: {fault}" for fault in _row_faults(row, expected)]
        if len(faults) >= _MOST_FAULTS:
            return [*faults[:_MOST_FAULTS], "further faults are not listed"]
    return faults


def silent_videos(path: str | Path, expected: Expected) -> int:
    """How many videos have no result: allowed, and often a sign that something was left out."""
    rows = _read(Path(path), [])
    there = {row.get("video_id") for row in rows if isinstance(row, Mapping)}
    return len(set(expected.videos) - there)


def _row(track: Track) -> dict[str, Any]:
    return {
        "video_id": track.video,
        "category_id": track.category,
        "score": track.score,
        "segmentations": [as_json(mask) for mask in track.masks],
    }


def _read(path: Path, faults: list[str]) -> Any:
    try:
        if path.suffix != ".zip":
            faults.append(f"{path.name}: servers take a zip with {MEMBER} at its root")
            return json.loads(path.read_bytes())
        with zipfile.ZipFile(path) as packed:
            names = packed.namelist()
            if names != [MEMBER]:
                faults.append(
                    f"{path.name}: must hold {MEMBER} alone, at its root, not {names[:5]}"
                )
            inside = next((name for name in names if Path(name).name == MEMBER), None)
            if inside is None:
                raise InputError(f"{path}: holds no {MEMBER}")
            return json.loads(packed.read(inside))
    except (OSError, ValueError, zipfile.BadZipFile, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a submission: {error}") from error


def _row_faults(row: Any, expected: Expected) -> list[str]:
    if not isinstance(row, Mapping):
        return [f"must be an object, not {type(row).__name__}"]
    missing = {"video_id", "category_id", "score", "segmentations"} - set(row)
    if missing:
        return [f"lacks {', '.join(sorted(missing))}"]
    faults = []
    score = row["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        faults.append(f"score must be a finite number, not {score!r}")
    if row["category_id"] not in expected.categories:
        faults.append(f"category_id {row['category_id']!r} is not in the data set")
    known = expected.videos.get(row["video_id"])
    if known is None:
        return [*faults, f"video_id {row['video_id']!r} is not in the data set"]
    length, size = known
    masks = row["segmentations"]
    if not isinstance(masks, list) or len(masks) != length:
        found = len(masks) if isinstance(masks, list) else type(masks).__name__
        return [*faults, f"segmentations: {found} for a video of {length} frames"]
    for t, mask in enumerate(masks):
        fault = _mask_fault(mask, size)
        if fault:
            return [*faults, f"frame {t}: {fault}"]
    return faults


def _mask_fault(mask: Any, size: tuple[int, int]) -> str:
    if mask is None:
        return ""
    if not isinstance(mask, Mapping) or not isinstance(mask.get("counts"), str):
        return "a mask must be null or a compressed RLE with size and text counts"
    if mask.get("size") != list(size):
        return f"mask of size {mask.get('size')}, the video has {list(size)} (height, width)"
    try:
        run_lengths.checked_runs(run_lengths.decompress(mask["counts"].encode("ascii")), *size)
    except (DataError, UnicodeEncodeError) as error:
        return f"mask: {error}"
    return ""
