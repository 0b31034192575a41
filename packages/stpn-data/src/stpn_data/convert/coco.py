"""COCO-style JSON with a mask for each object of each frame, grouped into videos and objects.

Videos are those of `videos` and `video_id`; without them, the folders of the files if objects carry a
`track_id` (`instance_id`, or CVAT's `attributes.track_id`), else every image is a video of its own.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_data import rle
from stpn_data.convert.source import Source, SourceObject, SourceVideo
from stpn_data.defects import Defect, refuse
from stpn_data.errors import DataError
from stpn_data.json_stream import read_json_arrays
from stpn_data.paths import natural_key, resolve_inside
from stpn_data.readers.coco_json import NO_VIDEO, CocoTable, read_coco_table
from stpn_data.readers.coco_vid import frames_of_videos
from stpn_data.readers.vis_object import segmentation_runs


@dataclass(frozen=True)
class _Mask:
    counts: bytes
    track: str | None
    crowd: bool
    place: str


def read_coco(path: Path, images: Path) -> Source:
    """Read `path`, whose `file_name`s are relative to `images`.

    Raises DataError at the first fault: an object without a mask, of a video but without a track,
    twice in one frame, or of two categories.
    """
    table = read_coco_table(path, refuse)
    masks, notes = _masks(path, table)
    places: dict[int, list[int]] = defaultdict(list)
    for i, row in enumerate(table.rows_of_boxes().tolist()):
        places[row].append(i)
    tracked = any(mask.track is not None for mask in masks if mask is not None)
    groups = _groups(table, tracked)
    videos = [_video(table, name, rows, images) for name, rows in groups]
    names = table.categories

    def objects(place: int) -> list[SourceObject]:
        _, rows = groups[place]
        found: dict[str, SourceObject] = {}
        for t, row in enumerate(rows.tolist()):
            for i in places[row]:
                if mask := masks[i]:
                    label = names[table.box_category[i]]
                    _add(found, t, len(rows), mask, label, videos[place].size)
        return list(found.values())

    return Source(videos, {name: number for number, name in names.items()}, objects, notes)


def _add(
    found: dict[str, SourceObject],
    t: int,
    length: int,
    mask: _Mask,
    label: str,
    size: tuple[int, int],
) -> None:
    if mask.track is None and length > 1:
        raise DataError(f"{mask.place}: needs a track_id, as its video has {length} frames")
    key = mask.place if mask.track is None else mask.track
    source = found.setdefault(key, SourceObject(label, mask.crowd))
    if source.category != label:
        raise DataError(f"{mask.place}: track {key} is {source.category}, then {label}")
    if t in source.runs:
        raise DataError(f"{mask.place}: track {key} is twice in one image")
    source.runs[t] = rle.checked_runs(rle.decompress(mask.counts), size[1], size[0])


def _masks(path: Path, table: CocoTable) -> tuple[list[_Mask | None], list[str]]:
    """Mask of each annotation; None where no pixel of it is left."""
    rows = table.rows_of_boxes().tolist()
    found: list[_Mask | None] = []
    odd: list[Defect] = []

    def take(position: int, entry: Any) -> None:
        place = f"{path}: /annotations/{position}"
        row = rows[position]
        width, height = table.sizes[2 * row], table.sizes[2 * row + 1]
        if not width or not height:
            raise DataError(f"{path}: image {entry['image_id']} has no width and height")
        segmentation = entry.get("segmentation")
        if segmentation is None:
            raise DataError(f"{place}: no segmentation; boxes alone make no instance masks")
        try:
            runs = segmentation_runs(segmentation, (height, width), place, odd.append)
        except DataError as error:
            raise DataError(f"{place}/segmentation: {error}") from error
        empty = runs is None or not rle.area(runs)
        counts = b"" if runs is None else rle.compress(runs)
        crowd = bool(entry.get("iscrowd"))
        found.append(None if empty else _Mask(counts, _track(entry), crowd, place))

    read_json_arrays(path, {"annotations": take})
    empty = found.count(None)
    notes = [f"{empty} objects without a pixel are left out"] if empty else []
    return found, notes


def _track(entry: dict[str, Any]) -> str | None:
    attributes = entry.get("attributes")
    inner = attributes.get("track_id") if isinstance(attributes, dict) else None
    track = entry.get("instance_id", entry.get("track_id", inner))
    return None if track is None or isinstance(track, dict | list) else str(track)


def _groups(table: CocoTable, tracked: bool) -> list[tuple[str, NDArray[np.int64]]]:
    """(name, rows in order of time) of each video."""
    groups = frames_of_videos(table, refuse)
    if not tracked or set(table.image_video) != {NO_VIDEO}:
        return [group for group in groups if len(group[1])]
    folders: dict[str, list[int]] = defaultdict(list)
    for row, file in enumerate(table.files):
        folders[file.rpartition("/")[0]].append(row)
    return [
        (
            name or Path(table.path).stem,
            np.array(sorted(rows, key=lambda r: natural_key(table.files[r]))),
        )
        for name, rows in folders.items()
    ]


def _video(table: CocoTable, name: str, rows: NDArray[np.int64], images: Path) -> SourceVideo:
    sizes = {(table.sizes[2 * row], table.sizes[2 * row + 1]) for row in rows.tolist()}
    if len(sizes) > 1:
        raise DataError(f"{table.path}: frames of video {name!r} differ in size: {sorted(sizes)}")
    paths = []
    for row in rows.tolist():
        if not table.files[row]:
            raise DataError(f"{table.path}: image {row} of video {name!r} has no file_name")
        file = resolve_inside(images, table.files[row], table.path)
        if not os.path.isfile(file):
            raise DataError(f"{file}: no such image; give the folder of the images with --images")
        paths.append(file)
    return SourceVideo(name, tuple(paths), sizes.pop())
