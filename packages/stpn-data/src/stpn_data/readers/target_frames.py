"""Which image belongs to which box of a sequence: frames are known by their number."""

from __future__ import annotations

import os
from pathlib import Path
from sys import intern
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.image_header import image_size
from stpn_data.paths import IMAGE_SUFFIXES, list_files


class Frames(NamedTuple):
    """Files of a sequence in order of time; `present` is False for those only a row stands for."""

    files: tuple[str, ...]
    present: NDArray[np.bool_]  # (n,)


def match_frames(
    root: Path,
    folder: str,
    rows: int,
    report: OnDefect,
    *,
    first: int,
    digits: int,
    whole: bool = True,
) -> Frames:
    """Images of a sequence beside its `rows` boxes: row i stands for the image numbered `first` + i.

    As many images as rows under other numbers are taken in order, as the released evaluators do.
    A row without an image stays as a missing frame, an image without a row follows as a frame
    without annotation (`whole`: there should be none). `digits`: of the names of missing frames.
    """
    numbers: dict[int, str] = {}
    for name in sorted(list_files(root, folder, IMAGE_SUFFIXES)):
        stem = name.rsplit(".", 1)[0]
        if not (stem.isascii() and stem.isdecimal() and len(stem) <= 18):
            report(Defect("stray image", f"{folder}/{name}", "its name is no number"))
        elif int(stem) in numbers:
            text = f"the same frame as {numbers[int(stem)]}"
            report(Defect("frame", f"{folder}/{name}", text))
        else:
            numbers[int(stem)] = intern(name)  # sequences share their names by the thousand
    given = sorted(numbers)
    if given and given != list(range(first, first + len(given))):
        text = f"{len(given)} images numbered {given[0]} to {given[-1]}, expected {first} and on"
        report(Defect("frame numbers", folder, text))
    if whole and len(given) > rows:
        report(Defect("rows and images", folder, f"{len(given)} images, but {rows} boxes"))
    if len(given) == rows:
        return Frames(tuple(numbers[n] for n in given), np.ones(rows, bool))
    start = min(first, *given) if given else first
    suffix = os.path.splitext(numbers[given[0]])[1] if given else ".jpg"
    wanted = [*range(start, start + rows), *(n for n in given if n >= start + rows)]
    files = tuple(numbers.get(n, f"{n:0{digits}d}{suffix}") for n in wanted)
    return Frames(files, np.array([n in numbers for n in wanted], bool))


def size_of(folder: str, frames: Frames) -> tuple[int, int]:
    """(width, height) of the first image that is there, or (0, 0): not known."""
    if not frames.present.any():
        return 0, 0
    try:
        return image_size(f"{folder}/{frames.files[int(np.argmax(frames.present))]}")
    except DataError:
        return 0, 0  # the audit looks at every image
