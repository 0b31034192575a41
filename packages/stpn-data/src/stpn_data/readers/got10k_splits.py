"""Which sequences of GOT-10k belong to a split, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.paths import natural_key
from stpn_data.readers.target_numbers import read_text

SPLITS = ("train", "val", "test")
_LOOK = 200  # names of a list, or entries of a folder, that are looked at


class Place(NamedTuple):
    """A sequence of a split."""

    name: str  # of its folder
    where: str  # for messages: the line of the list that names it


def split_of(root: Path, split: str) -> Path:
    """The folder of the sequences of `split`: `root/split`, or `root` itself where it holds sequences,
    or `root/train` where `root/<split>.txt` lists some of these.

    Raises DataError that says which splits there are.
    """
    have = splits_in(root)
    if split in have:
        return root / split
    if not have and split in SPLITS and is_split(root) and root.name in (split, _own_name(root)):
        return root
    if "train" in have and part_file(root, split):
        return root / "train"
    if split.startswith(("vot", "got10k_")):
        raise DataError(
            f"{root}: the split {split!r} is not part of GOT-10k, and its list of sequences cannot be "
            f"made from the data. Put the list there as {split}.txt (names, or numbers of lines of "
            "train/list.txt from 0), or take train[:90%] and train[90%:]; official are train, val and "
            "test"
        )
    others = f", only {', '.join(have)}" if have else ""
    raise DataError(
        f"{root}: no GOT-10k split {split!r}{others}; looked for {split}/list.txt, "
        f"{split}/*/groundtruth.txt and {split}.txt"
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
    names = (name for name in named if len(name) < _LOOK and "/" not in name)
    paths = [*(folder / name for name in names), *islice(folder.iterdir(), _LOOK)]
    return any((p / "groundtruth.txt").is_file() and not (p / "img").is_dir() for p in paths)


def part_file(root: Path, split: str) -> Path | None:
    """The file that lists `split` as a part of train, if there is one."""
    if split in SPLITS or "/" in split or len(split) >= _LOOK:
        return None
    path = root / f"{split}.txt"
    return path if path.is_file() else None


def sequences_of(root: Path, split: str, report: OnDefect) -> Iterator[Place]:
    """Sequences of a split in the order of its list; without one, all folders in natural order."""
    folder = split_of(root, split)
    path = folder / "list.txt"
    part = part_file(root, split) if folder.name != split else None
    if part is not None:
        yield from _checked(folder, _part(part, path, report), report)
        return
    if not path.is_file():
        report(Defect("no list", str(path), "not there; all folders are taken in natural order"))
        names = [p.name for p in folder.iterdir() if (p / "groundtruth.txt").is_file()]
        yield from (Place(name, str(folder)) for name in sorted(names, key=natural_key))
        return
    yield from _checked(folder, _lines(path), report)


def _part(part: Path, path: Path, report: OnDefect) -> Iterator[Place]:
    """Sequences that `part` lists by name, or by number of the line in `path`, counted from 0."""
    every = [place.name for place in _lines(path)] if path.is_file() else []
    for place in _lines(part):
        name = place.name
        if not (name.isascii() and name.isdecimal() and len(name) < 10):
            yield place
        elif int(name) < len(every):
            yield Place(every[int(name)], place.where)
        else:
            text = f"number {name}, but {path} has {len(every)} lines, counted from 0"
            report(Defect("list", place.where, text))


def _lines(path: Path) -> Iterator[Place]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            yield Place(line.strip(), f"{path}:{number}")


def _checked(folder: Path, places: Iterator[Place], report: OnDefect) -> Iterator[Place]:
    seen: set[str] = set()
    for place in places:
        name = place.name
        if name in seen:
            report(Defect("list", place.where, f"{name} is named twice"))
        elif "/" in name:
            report(Defect("list", place.where, f"{name[:80]!r} is no name of a folder beside it"))
        elif len(name) >= _LOOK or not (folder / name).is_dir():
            text = (
                f"there is no folder {name[:80]}; restore it, or take the line out to do without it"
            )
            report(Defect("list", place.where, text))
        else:
            yield place
        seen.add(name)


def _own_name(root: Path) -> str:
    """The name of a folder that is no split's: any split may be read from it."""
    return "" if root.name in SPLITS else root.name
