"""LaSOT as it lies on disk: a folder per class with its sequences, or all sequences side by side.

    LaSOT/airplane/airplane-1/img/00000001.jpg …     frames, from 1
                              groundtruth.txt        x,y,width,height per frame
                              full_occlusion.txt     one line: 0,0,1,… per frame
                              out_of_view.txt        the same
    LaSOT/testing_set.txt                            names of the test sequences, one per line
    LaSOT/training_set.txt                           optional: else all others are for training

A target is visible where it is neither fully occluded nor out of view and its box has an area. The
lists are those of the official evaluation toolkit; without them there is one split, `all`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.paths import natural_key, resolve_inside
from stpn_data.readers.target_frames import match_frames, size_of
from stpn_data.readers.target_numbers import read_text
from stpn_data.readers.targets import (
    Oddities,
    Target,
    boxes_in,
    check_areas,
    levels_in,
    read_targets,
    target_index,
)

LISTS = {"train": "training_set.txt", "test": "testing_set.txt"}
_LOOK = 20  # folders that are looked into to tell the layout


def read_lasot(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    on_defect: OnDefect = refuse,
    on_oddity: OnDefect | None = None,
    progress: bool = True,
) -> VideoIndex:
    """Read train, test or all. One video per sequence; its class is its name without the number.

    `on_defect`, `on_oddity` as in `read_got10k`. Raises DataError at the first defect, if there is no
    sequence, and if train or test is asked for and no list says which that is.
    """
    root = Path(root)
    odd = Oddities(on_defect, on_oddity)
    places = list(_chosen(root, split, odd.take))
    found = read_targets(
        lambda place, report: _read_sequence(root, place, report),
        places,
        odd,
        f"LaSOT {split} in {root}",
        progress=progress,
    )
    return target_index(root, f"LaSOT {split} in {root}", found, classes, odd.notes(), on_defect)


def is_lasot(root: Path) -> bool:
    """Whether sequences of LaSOT lie in `root` or in its folders."""
    if not root.is_dir():
        return False
    below = list(islice((path for path in root.iterdir() if path.is_dir()), _LOOK))
    inner = (path for folder in below for path in islice(folder.iterdir(), _LOOK))
    return any(_is_sequence(path) for path in (*below, *inner))


def lasot_splits(root: Path) -> list[str]:
    """The splits that can be told apart."""
    have = [name for name, file in LISTS.items() if (root / file).is_file()]
    return ["train", "test"] if "test" in have else [*have, *(() if have else ("all",))]


def _is_sequence(path: Path) -> bool:
    return (path / "groundtruth.txt").is_file() and (path / "img").is_dir()


def _chosen(root: Path, split: str, report: OnDefect) -> Iterator[tuple[str, str]]:
    """(folder relative to `root`, where it was named) of the sequences of `split`."""
    on_disk = _on_disk(root)
    if not on_disk:
        raise DataError(f"{root}: no LaSOT sequences; looked for CLASS/CLASS-1/groundtruth.txt")
    if split == "all":
        yield from ((folder, str(root)) for folder in on_disk.values())
        return
    if split not in lasot_splits(root):
        lists = " and ".join(LISTS.values())
        raise DataError(
            f"{root}: nothing says which sequences are {split!r}; put {lists} of the official "
            "evaluation toolkit there, or take the split 'all' and a part of it, as all[:90%]"
        )
    path = root / LISTS[split]
    if not path.is_file():  # train, where only the test sequences are listed
        test = {name for name, _ in _names(root / LISTS["test"])}
        yield from ((folder, str(root)) for name, folder in on_disk.items() if name not in test)
        return
    for name, where in _names(path):
        if name in on_disk:
            yield on_disk[name], where
        else:
            text = f"there is no folder of {name[:80]}; restore it, or take the line out"
            report(Defect("list", where, text))


def _on_disk(root: Path) -> dict[str, str]:
    """Folder of each sequence, relative to `root`, by name in natural order."""
    found: dict[str, str] = {}
    for path in root.iterdir():
        if _is_sequence(path):
            found[path.name] = path.name
        elif path.is_dir():
            found |= {p.name: f"{path.name}/{p.name}" for p in path.iterdir() if _is_sequence(p)}
    return {name: found[name] for name in sorted(found, key=natural_key)}


def _names(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield line.strip(), f"{path}:{number}"


def _read_sequence(root: Path, place: tuple[str, str], report: OnDefect) -> Target | None:
    name, where = place
    try:
        path = Path(resolve_inside(root, name, where))
        images = resolve_inside(root, f"{name}/img", where)
    except DataError as error:  # a link that leaves the root
        report(Defect("path", where, str(error).removeprefix(f"{where}: ")))
        return None
    boxes = boxes_in(path / "groundtruth.txt", report)
    if boxes is None:
        return None
    rows = len(boxes)
    absent = np.zeros(rows, bool)
    for file in ("full_occlusion.txt", "out_of_view.txt"):
        levels = levels_in(path / file, rows, 1, report, one_line=True)
        if levels is not None:
            absent |= levels != 0
    check_areas(path / "groundtruth.txt", boxes, absent, report)
    frames = match_frames(root, images, rows, report, first=1, digits=8)
    return Target(
        name=name.rpartition("/")[2],
        folder=images,
        frames=frames,
        boxes=boxes,
        absent=absent,
        label=name.rpartition("/")[2].rpartition("-")[0] or name.rpartition("/")[2],
        size=size_of(images, frames),
    )
