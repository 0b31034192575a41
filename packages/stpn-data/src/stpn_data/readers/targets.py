"""What all tracking sets have in common: a video per target, one box a frame, frames by number.

The target of a video is its track 0. A frame without annotation is not annotated; an annotated frame
whose box cannot be a box (not finite) has no row; a target that is not to be seen carries `ABSENT`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stpn_data.classes import label_table
from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.image_header import image_size
from stpn_data.index import ABSENT, Video, VideoIndex, build_index, concat
from stpn_data.paths import IMAGE_SUFFIXES, list_files
from stpn_data.readers.finish import finish, relabel
from stpn_data.readers.imagenet import read_classes
from stpn_data.readers.rows import NameTable

NO_CLASS = "object"  # where a set does not say what its target is


@dataclass(frozen=True)
class Target:
    """One sequence as annotated: n frames, of which the first m have a row."""

    name: str
    folder: str  # absolute
    frames: Frames
    boxes: NDArray[np.float64]  # (m,4) x, y, width, height
    absent: NDArray[np.bool_]  # (m,) said to be out of sight
    label: str = NO_CLASS
    size: tuple[int, int] = (0, 0)  # width, height; 0 not known

    def video(self, names: NameTable) -> Video:
        """For an index; labels are numbers of `names`."""
        count, rows = len(self.frames.files), len(self.boxes)
        row = np.isfinite(self.boxes).all(axis=1)
        corners = np.concatenate([self.boxes[:, :2], self.boxes[:, :2] + self.boxes[:, 2:]], axis=1)
        with np.errstate(over="ignore"):
            boxes = corners[row].astype(np.float32)
        hidden = self.absent | ~(self.boxes[:, 2:] > 0).all(axis=1)
        seen = np.zeros(count, bool)
        seen[:rows] = row & ~hidden
        counts = np.zeros(count, np.int64)
        counts[:rows] = row
        return Video(
            name=self.name,
            folder=self.folder,
            files=self.frames.files,
            sizes=np.full((count, 2), self.size, np.int32),
            annotated=np.arange(count) < rows,
            present=self.frames.present,
            box_counts=counts,
            boxes=boxes,
            labels=np.full(len(boxes), names.number(self.label), np.int16),
            tracks=np.zeros(len(boxes), np.int32),
            flags=(hidden[row] * ABSENT).astype(np.uint8),
            keys=np.flatnonzero(seen),
        )


class Frames(NamedTuple):
    """Files of a sequence in order of time; `present` is False for those only a row stands for."""

    files: tuple[str, ...]
    present: NDArray[np.bool_]  # (n,)


class Oddities:
    """What sets in use have and training can live with: counted, or handed on to an audit."""

    def __init__(self, kinds: Sequence[str], on_defect: OnDefect, audit: bool) -> None:
        self._kinds, self._on_defect, self._audit = frozenset(kinds), on_defect, audit
        self._seen: Counter[str] = Counter()
        self._first: dict[str, Defect] = {}

    def take(self, defect: Defect) -> None:
        """`defect`, to the audit or the counter if it is of a kind to live with."""
        if self._audit or defect.kind not in self._kinds:
            self._on_defect(defect)
        else:
            self._seen[defect.kind] += 1
            self._first.setdefault(defect.kind, defect)

    def notes(self) -> list[str]:
        return [
            f"{count} × {kind}, first {self._first[kind]}"
            for kind, count in sorted(self._seen.items())
        ]


def attempt(read: Callable[[], NDArray], kind: str, report: OnDefect) -> NDArray | None:
    """What `read` gives, or None after a defect of `kind`."""
    try:
        return read()
    except DataError as error:
        place, _, text = str(error).partition(": ")
        report(Defect(kind, place, text))
        return None


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
            numbers[int(stem)] = name
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


def target_index(
    root: Path,
    source: str,
    targets: Sequence[Target],
    classes: Sequence[str] | None,
    notes: Sequence[str],
    on_defect: OnDefect,
) -> VideoIndex:
    """The index of `targets`. Classes are `classes`, or root/classes.txt, or the sorted names found;
    a name that is not among them is a defect.

    What cannot be seen is counted in its notes.
    """
    names = NameTable()
    index = build_index(root, (), source, [target.video(names) for target in targets], notes)
    if classes is None and (root / "classes.txt").is_file():
        classes = read_classes(root / "classes.txt")
    if classes is None:
        classes = sorted(names.names)
    table = label_table(classes)
    for name in names.names:
        if name not in table:
            text = f"class {name!r} is not among the classes ({', '.join(classes)[:200]})"
            on_defect(Defect("class", str(root), text))
    index = relabel(replace(index, classes=tuple(classes)), names.names, table)
    return finish(replace(index, notes=(*index.notes, *_unseen(index))))


def _unseen(index: VideoIndex) -> list[str]:
    hidden = index.flags & ABSENT > 0
    if not hidden.any():
        return []
    owner = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    video = np.searchsorted(index.video_start, owner[~hidden], side="right") - 1
    never = index.num_videos - len(np.unique(video))
    text = (
        f"in {int(hidden.sum())} of {int(index.annotated.sum())} annotated frames the target is not to "
        "be seen"
    )
    return [f"{text}, in {never} sequences it never is" if never else text]


def join_targets(indexes: Sequence[VideoIndex]) -> VideoIndex:
    """Several tracking sets as one. Its classes are those of all, sorted; see `concat`."""
    classes = tuple(sorted({name for index in indexes for name in index.classes}))
    table = {name: number for number, name in enumerate(classes)}
    return concat([relabel(replace(i, classes=classes), i.classes, table) for i in indexes])
