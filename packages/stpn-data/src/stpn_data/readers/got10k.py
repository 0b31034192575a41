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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.paths import natural_key, resolve_inside
from stpn_data.readers.target_frames import match_frames, size_of
from stpn_data.readers.target_numbers import read_meta, read_text
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

SPLITS = ("train", "val", "test")
COVER = 8  # highest level of cover.label
_LOOK = 200  # names of a list, or entries of a folder, that are looked at
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
    """Read train, val or test. `root` holds the folders of the splits, or is the folder of one.

    One video per sequence, in the order of list.txt. classes: default root/classes.txt, or else the
    sorted values of `object_class`.
    on_defect: takes what a person has to mend; what is concerned is left out. Default: raise.
    on_oddity: takes what sets in use have (a cover.label that is all zero …). Default: counted in
        `notes`.

    Raises DataError at the first defect and if there is no such split.
    """
    folder = split_of(Path(root), split)
    top = folder.parent if folder.name == split else folder
    odd = Oddities(on_defect, on_oddity)
    places = list(_listed(folder, odd.take))
    found = read_targets(
        lambda place, report: _read_sequence(folder, place, split, report),
        places,
        odd,
        f"GOT-10k {split} in {folder}",
        progress=progress,
    )
    return target_index(top, f"GOT-10k {split} in {folder}", found, classes, odd.notes(), on_defect)


def split_of(root: Path, split: str) -> Path:
    """The folder of `split`: `root/split`, or `root` itself where it holds sequences.

    Raises DataError that says which splits there are.
    """
    have = splits_in(root)
    if split in have:
        return root / split
    if not have and split in SPLITS and is_split(root) and root.name in (split, _own_name(root)):
        return root
    if split.startswith(("vot", "got10k_")):
        raise DataError(
            f"{root}: the split {split!r} is not part of GOT-10k, and its list of sequences cannot be "
            "made from the data; official are train, val and test, a part of train is train[:90%] "
            "and the rest train[90%:]"
        )
    others = f", only {', '.join(have)}" if have else ""
    raise DataError(
        f"{root}: no GOT-10k split {split!r}{others}; looked for {split}/list.txt and "
        f"{split}/*/groundtruth.txt"
    )


def splits_in(root: Path) -> list[str]:
    """Those of train, val and test that `root` holds."""
    return [name for name in SPLITS if is_split(root / name)]


def is_split(folder: Path) -> bool:
    """Whether sequences of GOT-10k lie in `folder`: those its list begins with, or any of those that
    are seen first.
    """
    if not folder.is_dir():
        return False
    named: list[str] = []
    if (folder / "list.txt").is_file():
        with open(folder / "list.txt", "rb") as file:
            named = file.read(_LOOK * 32).decode(errors="replace").split()[:_LOOK]
        if named and named[0].startswith("GOT-10k_"):
            return True
    paths = [*(folder / name for name in named), *islice(folder.iterdir(), _LOOK)]
    return any((p / "groundtruth.txt").is_file() and not (p / "img").is_dir() for p in paths)


def _own_name(root: Path) -> str:
    """The name of a folder that is no split's: any split may be read from it."""
    return "" if root.name in SPLITS else root.name


@dataclass(frozen=True)
class _Place:
    name: str
    where: str  # for messages: the line of the list


def _listed(folder: Path, report: OnDefect) -> Iterator[_Place]:
    """Sequences of a split in the order of its list; without one, all folders in natural order."""
    path = folder / "list.txt"
    if not path.is_file():
        report(Defect("no list", str(path), "not there; all folders are taken in natural order"))
        names = [p.name for p in folder.iterdir() if (p / "groundtruth.txt").is_file()]
        yield from (_Place(name, str(folder)) for name in sorted(names, key=natural_key))
        return
    seen: set[str] = set()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        name, where = line.strip(), f"{path}:{number}"
        if not name:
            continue
        if name in seen:
            report(Defect("list", where, f"{name} is named twice"))
        elif "/" in name:
            report(Defect("list", where, f"{name[:80]!r} is no name of a folder beside it"))
        elif not (folder / name).is_dir():
            text = f"there is no folder {name}; restore it, or take the line out to do without it"
            report(Defect("list", where, text))
        else:
            yield _Place(name, where)
        seen.add(name)


def _read_sequence(folder: Path, place: _Place, split: str, report: OnDefect) -> Target | None:
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
