"""A COCO-style JSON file of boxes as columns, checked once.

`categories`, `images` and `annotations` as in COCO; `videos`, `video_id`, `frame_id`,
`is_vid_train_frame`, `instance_id` (or `track_id`), `occluded` and `generated` as mmtracking's
CocoVID adds them. Everything an entry refers to must exist, and every defect is reported at its
place.
"""

from __future__ import annotations

import math
import os
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.index import GENERATED, OCCLUDED
from stpn_data.json_stream import read_json_arrays
from stpn_data.paths import check_relative

NO_VIDEO = -1


@dataclass
class CocoTable:
    """Columns of n images and m annotations, in the order of the file."""

    path: str
    categories: dict[int, str] = field(default_factory=dict)
    videos: dict[int, str] = field(default_factory=dict)
    image_rows: dict[int, int] = field(default_factory=dict)  # image id -> row
    files: list[str] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("i"))  # width, height of each image
    image_video: array[int] = field(default_factory=lambda: array("q"))  # video id or NO_VIDEO
    image_frame: array[int] = field(default_factory=lambda: array("q"))  # frame_id or -1
    key: array[int] = field(default_factory=lambda: array("b"))  # is_vid_train_frame; -1 not said
    box_image: array[int] = field(default_factory=lambda: array("q"))  # image id
    box_category: array[int] = field(default_factory=lambda: array("q"))
    box_track: array[int] = field(default_factory=lambda: array("q"))
    box_flags: array[int] = field(default_factory=lambda: array("B"))
    box_crowd: array[int] = field(default_factory=lambda: array("b"))  # iscrowd
    box_id: array[int] = field(default_factory=lambda: array("q"))  # of the annotation, -1 if none
    boxes: array[float] = field(default_factory=lambda: array("f"))  # x1, y1, x2, y2

    def rows_of_boxes(self) -> NDArray[np.int64]:
        """Row of the image of each annotation, -1 if there is no such image."""
        rows = (self.image_rows.get(image, -1) for image in self.box_image)
        return np.fromiter(rows, np.int64, len(self.box_image))


def read_coco_table(
    path: str | os.PathLike[str], on_defect: OnDefect, *, progress: bool = False
) -> CocoTable:
    """Read and check a file. Faulty entries are reported and left out.

    Raises DataError if it is no JSON object with images and categories.
    """
    table = CocoTable(os.fspath(path))

    def checked(kind: str, read: Any) -> Any:
        def handle(position: int, entry: Any) -> None:
            try:
                if not isinstance(entry, dict):
                    raise DataError("expected an object")
                read(table, entry)
            except DataError as error:
                on_defect(Defect("json", f"{table.path}: /{kind}/{position}", str(error)))

        return handle

    keys = read_json_arrays(
        path,
        {
            "categories": checked("categories", _category),
            "videos": checked("videos", _video),
            "images": checked("images", _image),
            "annotations": checked("annotations", _annotation),
        },
        progress=progress,
    )
    for kind in ("images", "categories"):
        if kind not in keys:
            raise DataError(f"{table.path}: no {kind!r}; expected COCO-style JSON")
    _check_references(table, on_defect)
    return table


def _category(table: CocoTable, entry: dict[str, Any]) -> None:
    number, name = _whole(entry, "id"), _text(entry, "name")
    if number in table.categories or name in table.categories.values():
        raise DataError(f"category {number} {name!r} is given twice")
    table.categories[number] = name


def _video(table: CocoTable, entry: dict[str, Any]) -> None:
    number = _whole(entry, "id")
    if number in table.videos:
        raise DataError(f"video {number} is given twice")
    table.videos[number] = check_relative(_text(entry, "name"), "name")


def _image(table: CocoTable, entry: dict[str, Any]) -> None:
    number = _whole(entry, "id")
    if number in table.image_rows:
        raise DataError(f"image {number} is given twice")
    in_video = entry.get("video_id") is not None
    named = "file_name" in entry or not in_video
    file = check_relative(_text(entry, "file_name"), "file_name") if named else ""
    size = [
        _whole(entry, side, 0, 1_000_000) if side in entry else 0 for side in ("width", "height")
    ]
    video = _whole(entry, "video_id") if in_video else NO_VIDEO
    frame = _whole(entry, "frame_id") if entry.get("frame_id") is not None else -1
    if not named and frame < 0:
        raise DataError("neither file_name nor frame_id")
    flag = entry.get("is_vid_train_frame")
    table.image_rows[number] = len(table.files)
    table.files.append(file)
    table.sizes.extend(size)
    table.image_video.append(video)
    table.image_frame.append(frame)
    table.key.append(-1 if flag is None else bool(flag))


def _annotation(table: CocoTable, entry: dict[str, Any]) -> None:
    image, category = _whole(entry, "image_id"), _whole(entry, "category_id")
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(side) for side in box):
        raise DataError(f"bbox is {str(box)[:60]}, expected [x, y, width, height]")
    track = entry.get("instance_id", entry.get("track_id"))
    if track is not None and (isinstance(track, bool) or not isinstance(track, int)):
        raise DataError(f"instance_id is {str(track)[:40]!r}, expected a whole number")
    x, y, width, height = box
    table.box_image.append(image)
    table.box_category.append(category)
    table.box_track.append(-1 if track is None or abs(track) >= 1 << 62 else track)
    table.box_flags.append(
        bool(entry.get("occluded")) * OCCLUDED | bool(entry.get("generated")) * GENERATED
    )
    table.box_crowd.append(bool(entry.get("iscrowd")))
    number = entry.get("id")
    whole = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < 1 << 62
    table.box_id.append(int(number or 0) if whole else -1)
    table.boxes.extend((x, y, x + width, y + height))


def _check_references(table: CocoTable, on_defect: OnDefect) -> None:
    for place, values, known, what in (
        ("images", table.image_video, {NO_VIDEO, *table.videos}, "video_id"),
        ("annotations", table.box_image, table.image_rows, "image_id"),
        ("annotations", table.box_category, table.categories, "category_id"),
    ):
        for position, value in enumerate(values):
            if value not in known:
                text = f"{what} {value} does not exist"
                on_defect(Defect("json", f"{table.path}: entry {position} of {place}", text))


def _whole(entry: dict[str, Any], name: str, low: int = 0, high: int = 1 << 62) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < high:
        raise DataError(f"{name} is {str(value)[:40]!r}, expected a whole number of {low} or more")
    return value


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{name} is {str(value)[:40]!r}, expected text")
    return value


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and abs(value) < 1e9
    )
