"""TrackingNet as it lies on disk: twelve training chunks and a test chunk.

    TrackingNet/{TRAIN_0 … TRAIN_11,TEST}/anno/<video>.txt            x,y,width,height per frame
                                          frames/<video>/0.jpg …      from 0, not padded

Test videos have the box of the first frame alone. The set names no classes and no invisible frames; a
target is visible where its box has an area.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.paths import list_files, natural_key, resolve_inside
from stpn_data.readers.target_frames import match_frames, size_of
from stpn_data.readers.targets import (
    Oddities,
    Target,
    boxes_in,
    check_areas,
    read_targets,
    target_index,
)

TEST = "TEST"


def read_trackingnet(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    on_defect: OnDefect = refuse,
    on_oddity: OnDefect | None = None,
    progress: bool = True,
) -> VideoIndex:
    """Read train (all chunks that are there), one chunk by its name (TRAIN_3), or test.

    One video per annotation file, by chunk, then by name; all are of the one class `object`.
    `on_defect`, `on_oddity` as in `read_got10k`. Raises DataError at the first defect and if there is
    no such split.
    """
    root = Path(root)
    odd = Oddities(on_defect, on_oddity)
    places = [
        (chunk, name)
        for chunk in chunks_of(root, split)
        for name in _annotated(root, chunk, odd.take)
    ]
    found = read_targets(
        lambda place, report: _read_sequence(root, *place, report),
        places,
        odd,
        f"TrackingNet {split} in {root}",
        progress=progress,
    )
    source = f"TrackingNet {split} in {root}"
    return target_index(root, source, found, classes, odd.notes(), on_defect)


def chunks_of(root: Path, split: str) -> list[str]:
    """Folders of a split. Raises DataError that says which there are."""
    have = chunks_in(root)
    train = [name for name in have if name != TEST]
    wanted = {"train": train, "test": [TEST] if TEST in have else []}
    chosen = wanted.get(split, [split] if split in have else [])
    if not chosen:
        raise DataError(
            f"{root}: no TrackingNet split {split!r}; looked for TRAIN_0 to TRAIN_11 and TEST with "
            f"anno/ and frames/ in them, found {', '.join(have) or 'none'}"
        )
    return chosen


def chunks_in(root: Path) -> list[str]:
    """TRAIN_0 … and TEST, as far as they are there."""
    if not root.is_dir():
        return []
    names = (p.name for p in root.iterdir() if p.name == TEST or p.name.startswith("TRAIN_"))
    return sorted((name for name in names if (root / name / "anno").is_dir()), key=natural_key)


def _annotated(root: Path, chunk: str, report: OnDefect) -> list[str]:
    try:
        folder = resolve_inside(root, f"{chunk}/anno", str(root))
        files = list_files(root, folder, (".txt",))
    except DataError as error:  # a link that leaves the root
        report(Defect("path", f"{root}/{chunk}/anno", str(error)))
        return []
    return sorted((file[: -len(".txt")] for file in files), key=natural_key)


def _read_sequence(root: Path, chunk: str, name: str, report: OnDefect) -> Target | None:
    file = root / chunk / "anno" / f"{name}.txt"
    try:
        images = resolve_inside(root, f"{chunk}/frames/{name}", str(file))
    except DataError as error:
        report(Defect("path", str(file), str(error).removeprefix(f"{file}: ")))
        return None
    boxes = boxes_in(file, report)
    if boxes is None:
        return None
    absent = np.zeros(len(boxes), bool)
    check_areas(file, boxes, absent, report)
    whole = chunk != TEST
    frames = match_frames(root, images, len(boxes), report, first=0, digits=1, whole=whole)
    return Target(
        name=name,
        folder=images,
        frames=frames,
        boxes=boxes,
        absent=absent,
        size=size_of(images, frames),
    )
