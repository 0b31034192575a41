"""GOT-10k as it lies on disk: a folder per sequence, and a list of them for each split.

    GOT-10k/{train,val,test}/list.txt                       a name per line
    GOT-10k/train/GOT-10k_Train_000001/00000001.jpg …       frames, from 1
                                       groundtruth.txt      x,y,width,height per frame
                                       absence.label        1: not in the frame
                                       cover.label          visible share in eighths, 0 to 8
                                       cut_by_image.label   1: cut by the border
                                       meta_info.ini        object_class, resolution …

Test sequences have the box of the first frame alone and no labels. A target is visible where it is
not absent, its cover is above 0 and its box has an area, as the released training code has it; the
benchmark's evaluator looks at the cover alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.paths import resolve_inside
from stpn_data.readers.got10k_splits import Place, sequences_of, split_of
from stpn_data.readers.target_frames import match_frames, size_of
from stpn_data.readers.target_numbers import read_meta
from stpn_data.readers.targets import (
    NO_CLASS,
    Oddities,
    Target,
    boxes_in,
    check_areas,
    levels_in,
    read_targets,
    target_index,
)

COVER = 8  # highest level of cover.label
_SIZE = re.compile(r"\(\s*(\d{1,6})\s*,\s*(\d{1,6})\s*\)")


def read_got10k(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    on_defect: OnDefect = refuse,
    on_oddity: OnDefect | None = None,
    progress: bool = True,
) -> VideoIndex:
    """Read train, val or test, or the part of train that root/<split>.txt lists. `root` holds the
    folders of the splits, or is the folder of one.

    One video per sequence, in the order of list.txt. classes: default root/classes.txt, or else the
    sorted values of `object_class`.
    on_defect: takes what a person has to mend; what is concerned is left out. Default: raise.
    on_oddity: takes what sets in use have (a cover.label that is all zero …). Default: counted in
        `notes`.

    Raises DataError at the first defect and if there is no such split.
    """
    root = Path(root)
    folder = split_of(root, split)
    odd = Oddities(on_defect, on_oddity)
    places = list(sequences_of(root, split, odd.take))
    source = f"GOT-10k {split} in {folder}"
    found = read_targets(
        lambda place, report: _read_sequence(folder, place, split, report),
        places,
        odd,
        source,
        progress=progress,
    )
    return target_index(root, source, found, classes, odd.notes(), on_defect)


def _read_sequence(folder: Path, place: Place, split: str, report: OnDefect) -> Target | None:
    try:
        path = Path(resolve_inside(folder, place.name, place.where))
    except DataError as error:  # a link that leaves the root
        report(Defect("path", place.where, str(error).removeprefix(f"{place.where}: ")))
        return None
    boxes = boxes_in(path / "groundtruth.txt", report)
    if boxes is None:
        return None
    absent = _absent(path, len(boxes), split, report)
    check_areas(path / "groundtruth.txt", boxes, absent, report)
    frames = match_frames(
        folder, str(path), len(boxes), report, first=1, digits=8, whole=split != "test"
    )
    meta, size = _meta(path, report)
    return Target(
        name=place.name,
        folder=str(path),
        frames=frames,
        boxes=boxes,
        absent=absent,
        label=meta.get("object_class") or NO_CLASS,
        size=size or size_of(str(path), frames),
    )


def _absent(path: Path, rows: int, split: str, report: OnDefect) -> NDArray[np.bool_]:
    """(rows,) whether the labels say that the target cannot be seen; a missing row says so."""
    if split == "test":
        return np.zeros(rows, bool)
    absence = levels_in(path / "absence.label", rows, 1, report)
    cover = levels_in(path / "cover.label", rows, COVER, report)
    levels_in(path / "cut_by_image.label", rows, 1, report, kind="cut label")
    if cover is not None and not cover.any():
        report(Defect("all covered", f"{path}/cover.label", "all zero: no frame of it is used"))
    absent = np.zeros(rows, bool)
    if absence is not None:
        absent |= absence != 0
    if cover is not None:
        absent |= cover <= 0
    return absent


def _meta(path: Path, report: OnDefect) -> tuple[dict[str, str], tuple[int, int] | None]:
    """Keys of meta_info.ini, and width and height as stated there."""
    file = path / "meta_info.ini"
    try:
        meta = read_meta(file)
    except DataError as error:
        report(Defect("meta", str(file), str(error).removeprefix(f"{file}: ")))
        return {}, None
    missing = [key for key in ("object_class", "resolution") if not meta.get(key)]
    if missing:
        report(Defect("meta", str(file), f"says nothing of {' and '.join(missing)}"))
    found = _SIZE.fullmatch(meta.get("resolution", ""))
    if meta.get("resolution") and (found is None or not (int(found[1]) and int(found[2]))):
        text = f"resolution is {meta['resolution'][:40]!r}, expected (WIDTH, HEIGHT)"
        report(Defect("meta", str(file), text))
        return meta, None
    return meta, (int(found[1]), int(found[2])) if found else None
