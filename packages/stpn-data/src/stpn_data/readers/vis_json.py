"""A YouTube-VIS JSON file as columns, checked once.

`videos` with `file_names`, `categories`, and `annotations`: one entry per object of a video, with lists
over its T frames: `segmentations` (RLE or polygons), `bboxes` (x, y, width, height), `areas`, and in
OVIS `occlusion`; null where the object is not visible. Files without annotations are legal. The file
is read entry by entry: memory holds the columns alone, with masks compressed.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.json_stream import read_json_arrays
from stpn_data.paths import check_relative
from stpn_data.readers.coco_json import _text, _whole
from stpn_data.readers.vis_object import Visible, read_object
from stpn_data.rle import MAX_PIXELS


@dataclass(frozen=True)
class VisVideo:
    """A video as the file describes it."""

    number: int  # its id
    width: int
    height: int
    files: tuple[str, ...]  # (T,)


@dataclass
class VisTable:
    """Columns of I annotated objects and of the m places (object, frame) where one is visible."""

    path: str
    annotated: bool = False  # the file has a list of annotations, even if it is empty
    categories: dict[int, str] = field(default_factory=dict)
    videos: dict[int, VisVideo] = field(default_factory=dict)
    ids: array[int] = field(default_factory=lambda: array("q"))  # of the I annotations
    entries: array[int] = field(default_factory=lambda: array("q"))  # position in the file
    object_video: array[int] = field(default_factory=lambda: array("q"))
    object_category: array[int] = field(default_factory=lambda: array("q"))
    crowd: array[int] = field(default_factory=lambda: array("b"))
    row_object: array[int] = field(default_factory=lambda: array("q"))  # place in `ids`, (m,)
    row_time: array[int] = field(default_factory=lambda: array("q"))
    boxes: array[float] = field(default_factory=lambda: array("f"))  # x1, y1, x2, y2
    areas: array[float] = field(default_factory=lambda: array("d"))
    flags: array[int] = field(default_factory=lambda: array("B"))
    counts: bytearray = field(default_factory=bytearray)  # compressed, of all m masks
    counts_length: array[int] = field(default_factory=lambda: array("q"))

    def add(self, number: int, entry: int, video: int, category: int, crowd: bool) -> None:
        self.ids.append(number)
        self.entries.append(entry)
        self.object_video.append(video)
        self.object_category.append(category)
        self.crowd.append(crowd)

    def add_visible(self, seen: Visible) -> None:
        """Append a mask of the object that was added last."""
        self.row_object.append(len(self.ids) - 1)
        self.row_time.append(seen.t)
        self.boxes.extend(seen.box)
        self.areas.append(seen.area)
        self.flags.append(seen.flags)
        self.counts += seen.counts
        self.counts_length.append(len(seen.counts))


def read_vis_table(
    path: str | os.PathLike[str],
    on_defect: OnDefect,
    on_oddity: OnDefect,
    *,
    progress: bool = False,
) -> VisTable:
    """Read and check a file. Faulty entries go to `on_defect` and are left out; what data sets in
    use have, and what costs a mask or less, goes to `on_oddity`.

    Raises DataError if it is no JSON object with videos and categories.
    """
    table = VisTable(os.fspath(path))
    known: set[int] = set()
    skipped = 0  # annotations that came before the videos

    def checked(kind: str, read: Callable[[int, dict[str, Any]], None]) -> Any:
        def handle(position: int, entry: Any) -> None:
            place = f"{table.path}: /{kind}/{position}"
            try:
                if not isinstance(entry, dict):
                    raise DataError("expected an object")
                read(position, entry)
            except DataError as error:
                on_defect(Defect("json", place, str(error)))

        return handle

    def annotation(position: int, entry: dict[str, Any]) -> None:
        nonlocal skipped
        if not table.videos:
            skipped += 1
            return
        read_annotation(table, known, position, entry, on_defect, on_oddity)

    keys = read_json_arrays(
        path,
        {
            "categories": checked("categories", lambda _, entry: _category(table, entry)),
            "videos": checked("videos", lambda i, entry: _video(table, i, entry, on_oddity)),
            "annotations": checked("annotations", annotation),
        },
        progress=progress,
    )
    for kind in ("videos", "categories"):
        if kind not in keys:
            raise DataError(f"{table.path}: no {kind!r}; expected YouTube-VIS JSON")
    table.annotated = "annotations" in keys
    if skipped and table.videos:
        read_json_arrays(path, {"annotations": checked("annotations", annotation)})
    for entry, number in zip(table.entries, table.object_category, strict=True):
        if number not in table.categories:
            place = f"{table.path}: /annotations/{entry}/category_id"
            on_defect(Defect("json", place, f"category {number} does not exist"))
    return table


def _category(table: VisTable, entry: dict[str, Any]) -> None:
    number, name = _whole(entry, "id"), _text(entry, "name")
    if number in table.categories or name in table.categories.values():
        raise DataError(f"category {number} {name!r} is given twice")
    table.categories[number] = name


def _video(table: VisTable, position: int, entry: dict[str, Any], on_oddity: OnDefect) -> None:
    number = _whole(entry, "id")
    if number in table.videos:
        raise DataError(f"video {number} is given twice")
    width, height = _whole(entry, "width", 1, 1 << 16), _whole(entry, "height", 1, 1 << 16)
    if width * height > MAX_PIXELS:
        raise DataError(f"frames of {width}×{height}; at most {MAX_PIXELS:,} pixels are read")
    files = entry.get("file_names")
    if not isinstance(files, list) or not files:
        raise DataError("file_names is no list of file names, or is empty")
    for t, name in enumerate(files):
        if not isinstance(name, str):
            raise DataError(f"file_names/{t} is {str(name)[:40]!r}, expected text")
        check_relative(name, f"file_names/{t}")
    if len(set(files)) < len(files):
        raise DataError("file_names names one file twice")
    if "length" in entry and entry["length"] != len(files):
        text = f"length is {str(entry['length'])[:40]}, but there are {len(files)} file_names"
        on_oddity(Defect("json", f"{table.path}: /videos/{position}/length", text))
    table.videos[number] = VisVideo(number, width, height, tuple(files))


def read_annotation(
    table: VisTable,
    known: set[int],
    position: int,
    entry: dict[str, Any],
    on_defect: OnDefect,
    on_oddity: OnDefect,
) -> None:
    """Check one entry of `annotations` and append it."""
    place = f"{table.path}: /annotations/{position}"
    number, category = _whole(entry, "id"), _whole(entry, "category_id")
    video = table.videos.get(_whole(entry, "video_id"))
    if number in known:
        raise DataError(f"annotation {number} is given twice")
    if video is None:
        raise DataError(f"video {entry['video_id']} does not exist")
    if number >= 1 << 31:
        raise DataError(f"id {number} needs more than 31 bits")
    for side, pixels in (("width", video.width), ("height", video.height)):
        if entry.get(side, pixels) != pixels:
            raise DataError(f"{side} is {str(entry[side])[:40]}, but its video has {pixels}")
    crowd = entry.get("iscrowd") or 0
    if crowd not in (0, 1):
        raise DataError(f"iscrowd is {str(crowd)[:40]!r}, expected 0 or 1")
    known.add(number)
    if number == 0:
        text = "id 0, which the official evaluation takes for no match; number from 1"
        on_oddity(Defect("annotation id 0", f"{place}/id", text))
    size, length = (video.height, video.width), len(video.files)
    seen = read_object(entry, length, size, place, bool(crowd), on_defect, on_oddity)
    table.add(number, position, video.number, category, bool(crowd))
    for visible in seen:
        table.add_visible(visible)
