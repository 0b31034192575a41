"""What all tracking sets have in common: a video per target, one box a frame, frames by number.

The target of a video is its track 0. A frame without annotation is not annotated; an annotated frame
whose box cannot be a box (not finite) has no row; a target that is not to be seen carries `ABSENT`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stpn_data.classes import label_table
from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.index import ABSENT, Video, VideoIndex, build_index
from stpn_data.readers.finish import finish, relabel
from stpn_data.readers.imagenet import read_classes
from stpn_data.readers.rows import NameTable
from stpn_data.readers.target_frames import Frames
from stpn_data.readers.target_numbers import read_boxes, read_levels
from stpn_data.readers.threads import reading

Item = TypeVar("Item")

# What sets in use have, or a set of one's own may lack: no reason to refuse it.
ODD = (
    *(
        "all covered",
        "box not finite",
        "box without area",
        "frame numbers",
        "rows and images",
        "stray image",
    ),
    *("cut label", "no label file", "meta", "no list"),
)
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


class Oddities:
    """What sets in use have and training can live with: counted, or handed on to an audit."""

    def __init__(self, on_defect: OnDefect, on_oddity: OnDefect | None) -> None:
        self._on_defect, self._on_oddity = on_defect, on_oddity
        self._seen: Counter[str] = Counter()
        self._first: dict[str, Defect] = {}

    def take(self, defect: Defect) -> None:
        """`defect`; one of a kind to live with is counted unless somebody asked for it."""
        if defect.kind not in ODD:
            self._on_defect(defect)
        elif self._on_oddity is not None:
            self._on_oddity(defect)
        else:
            self._seen[defect.kind] += 1
            self._first.setdefault(defect.kind, defect)

    def notes(self) -> list[str]:
        return [
            f"{count} × {kind}, first {self._first[kind]}"
            for kind, count in sorted(self._seen.items())
        ]


def read_targets(
    read: Callable[[Item, OnDefect], Target | None],
    places: Sequence[Item],
    odd: Oddities,
    what: str,
    *,
    progress: bool,
) -> list[Target]:
    """What `read` makes of each of `places`, several at a time; its defects go to `odd` in order.

    Raises DataError if nothing is left.
    """
    with reading(read, places, odd.take) as results:
        bar = tqdm(
            results,
            desc=f"indexing {what}",
            total=len(places),
            unit="sequence",
            disable=None if progress else True,
        )
        found = [target for target in bar if target is not None]
    if not found:
        raise DataError(f"{what}: no sequence could be read")
    return found


def boxes_in(path: Path, report: OnDefect) -> NDArray[np.float64] | None:
    """(m,4) boxes of a file; None after a defect. Rows that are not finite are odd, and stay."""
    boxes = attempt(lambda: read_boxes(path), "boxes", report)
    if boxes is None:
        return None
    for row in np.flatnonzero(~np.isfinite(boxes).all(axis=1)):
        sides = ", ".join(f"{side:g}" for side in boxes[row])
        report(Defect("box not finite", f"{path}:{row + 1}", f"({sides})"))
    return boxes


def check_areas(
    path: Path, boxes: NDArray[np.float64], absent: NDArray[np.bool_], report: OnDefect
) -> None:
    """Boxes of no width or height where no label says that the target is absent: odd."""
    flat = np.isfinite(boxes).all(axis=1) & ~(boxes[:, 2:] > 0).all(axis=1)
    for row in np.flatnonzero(flat & ~absent):
        sides = ", ".join(f"{side:g}" for side in boxes[row])
        report(Defect("box without area", f"{path}:{row + 1}", f"({sides}), not said to be absent"))


def levels_in(
    path: Path,
    rows: int,
    highest: int,
    report: OnDefect,
    *,
    kind: str = "labels",
    one_line: bool = False,
) -> NDArray[np.int64] | None:
    """(rows,) a label from 0 to `highest` for each row, -1 where the file ends early (a defect of
    `kind`); None if it is not there or cannot be read.
    """
    if not path.is_file():
        report(Defect("no label file", str(path), "not there; nothing is said of any frame"))
        return None
    levels = attempt(lambda: read_levels(path, highest, one_line=one_line), kind, report)
    if levels is None:
        return None
    if len(levels) != rows:
        report(Defect(kind, str(path), f"{len(levels)} labels, but {rows} boxes beside it"))
    whole = np.full(rows, -1, np.int64)
    whole[: len(levels)] = levels[:rows]
    return whole


def attempt(read: Callable[[], NDArray[Any]], kind: str, report: OnDefect) -> NDArray[Any] | None:
    """What `read` gives, or None after a defect of `kind`."""
    try:
        return read()
    except DataError as error:
        place, _, text = str(error).partition(": ")
        report(Defect(kind, place, text))
        return None


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
