"""Videos with instance masks: YouTube-VIS 2019 and 2021, OVIS, and whatever has their JSON."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import Video, VideoIndex, build_index
from stpn_data.masks import Masks, pick_counts
from stpn_data.readers.coco_vid import FolderListing
from stpn_data.readers.finish import finish
from stpn_data.readers.vis_json import VisTable, VisVideo, read_vis_table
from stpn_data.readers.vis_layout import require_vis_json, vis_images


def read_youtube_vis(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    images: str | os.PathLike[str] | None = None,
    classes: Sequence[str] | None = None,
    on_defect: OnDefect = refuse,
    on_oddity: OnDefect | None = None,
    progress: bool = True,
) -> VideoIndex:
    """Read one split of the data set at `path` (its folder, or the JSON file itself).

    images: folder that `file_names` are relative to; found beside the file otherwise.
    classes: names to read, in this order; objects of others are left out and counted in `notes`.
        Default: the file's own categories by id.
    on_defect: takes what a person has to mend; the entry is left out. Default: raise DataError.
    on_oddity: takes what sets in use have (an object with a mask but no box, polygons of fewer than 6
        numbers, id 0 …). Default: counted in `notes`.

    Key frames are all annotated frames of videos that show an object: frames without one are legal.
    The index holds `masks`; `VideoIndex.masks_of` decodes them, `stpn_data.instances_of` gives an
    evaluator what it needs. A file without annotations (valid, test) gives frames without boxes.
    Raises DataError at the first defect, and if there is no such file.
    """
    file = require_vis_json(Path(path), split)
    root = Path(images) if images is not None else vis_images(file)
    odd: Counter[str] = Counter()

    def count(defect: Defect) -> None:
        odd[defect.kind] += 1

    table = read_vis_table(file, on_defect, on_oddity or count, progress=progress)
    if not table.videos:
        raise DataError(f"{file}: lists no videos")
    labels, names, category_ids, notes = _labels(table, classes)
    notes += [f"{count} × {kind} in {file.name}" for kind, count in sorted(odd.items())]
    rows = _Rows(table, labels)
    listing = FolderListing(root)
    videos = [
        _video(table, video, rows, listing, on_defect, name)
        for video, name in _named(list(table.videos.values()))
    ]
    index = build_index(root, names, f"{file.name} over {root}", videos, notes)
    counts, start = pick_counts(rows.counts, rows.order)
    masks = Masks(
        counts=counts,
        start=start,
        areas=rows.areas[rows.order],
        video_ids=np.array(list(table.videos), np.int64),
        category_ids=np.array(category_ids, np.int64),
        instances=_instances(table, labels),
    )
    return finish(replace(index, masks=masks), require_boxes=False)


class _Rows:
    """Columns of the masks that are kept; `order` sorts them by video, frame, place in the file."""

    def __init__(self, table: VisTable, labels: NDArray[np.int16]) -> None:
        of = np.array(table.row_object, np.int64)
        place = {number: i for i, number in enumerate(table.videos)}
        video = np.array([place[number] for number in table.object_video], np.int64)
        self.label = labels[of]
        self.video = video[of] if len(of) else of
        self.time = np.array(table.row_time, np.int64)
        self.track = np.array(table.ids, np.int64)[of].astype(np.int32)
        self.boxes = np.array(table.boxes, np.float32).reshape(-1, 4)
        self.areas = np.array(table.areas, np.float64)
        self.flags = np.array(table.flags, np.uint8)
        good = np.flatnonzero(self.label >= 0)
        self.order = good[np.lexsort((self.time[good], self.video[good]))]
        self.starts = np.searchsorted(self.video[self.order], np.arange(len(place) + 1))
        lengths = np.array(table.counts_length, np.int64)
        self.counts = Masks(
            counts=np.frombuffer(table.counts, np.uint8),
            start=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            areas=self.areas,
            video_ids=np.zeros(0, np.int64),
            category_ids=np.zeros(0, np.int64),
            instances=np.zeros((0, 4), np.int64),
        )
        self.place = place

    def columns(self, video: VisVideo) -> dict[str, NDArray]:
        number = self.place[video.number]
        pick = self.order[self.starts[number] : self.starts[number + 1]]
        return {
            "box_counts": np.bincount(self.time[pick], minlength=len(video.files)),
            "boxes": self.boxes[pick],
            "labels": self.label[pick],
            "tracks": self.track[pick],
            "flags": self.flags[pick],
        }


def _labels(
    table: VisTable, classes: Sequence[str] | None
) -> tuple[NDArray[np.int16], tuple[str, ...], list[int], list[str]]:
    """Label of each object (-1: left out), names and ids of the classes, notes."""
    ids = {table.categories[number]: number for number in sorted(table.categories)}
    names = tuple(ids) if classes is None else tuple(classes)
    if len(set(names)) < len(names):
        raise DataError(f"classes: a name is given twice: {', '.join(names)}")
    label = {ids[name]: i for i, name in enumerate(names) if name in ids}
    found = np.array([label.get(number, -1) for number in table.object_category], np.int16)
    left = Counter(table.categories.get(n, str(n)) for n in table.object_category if n not in label)
    notes = (
        [f"{sum(left.values())} objects of {len(left)} other classes are left out"] if left else []
    )
    return found, names, [ids.get(name, -1) for name in names], notes


def _instances(table: VisTable, labels: NDArray[np.int16]) -> NDArray[np.int64]:
    place = {number: i for i, number in enumerate(table.videos)}
    rows = [
        (place[video], number, label, crowd)
        for video, number, label, crowd in zip(
            table.object_video, table.ids, labels.tolist(), table.crowd, strict=True
        )
        if label >= 0
    ]
    return np.array(rows, np.int64).reshape(-1, 4)


def _named(videos: Sequence[VisVideo]) -> list[tuple[VisVideo, str]]:
    """Videos by the folder of their frames; by that and their id where several share it."""
    folders = [_folder(video.files) or str(video.number) for video in videos]
    twice = {name for name, count in Counter(folders).items() if count > 1}
    return [
        (video, f"{name}-{video.number}" if name in twice else name)
        for video, name in zip(videos, folders, strict=True)
    ]


def _folder(files: Sequence[str]) -> str:
    folders = {file.rpartition("/")[0] for file in files}
    return folders.pop() if len(folders) == 1 else ""


def _video(
    table: VisTable,
    video: VisVideo,
    rows: _Rows,
    listing: FolderListing,
    on_defect: OnDefect,
    name: str,
) -> Video:
    common = _folder(video.files)
    files = [file[len(common) :].lstrip("/") for file in video.files]
    try:
        folder, present = listing.find(common, files)
    except DataError as error:  # a path that leaves the root
        on_defect(Defect("path", table.path, str(error)))
        folder, present = str(listing.root), [False] * len(files)
    columns = rows.columns(video)
    annotated = np.full(len(files), table.annotated)
    seen = table.annotated and len(columns["boxes"]) > 0
    return Video(
        name=name,
        folder=folder,
        files=files,
        sizes=np.full((len(files), 2), (video.width, video.height), np.int32),
        annotated=annotated,
        present=np.array(present, bool),
        keys=np.arange(len(files)) if seen else (),
        **columns,
    )
