"""Videos from a COCO-style JSON file in which every frame is listed (mmtracking's CocoVID).

`imagenet_vid_train.json`, `imagenet_vid_val.json` and `imagenet_det_30plus1cls.json` of mmtracking
are of this kind; their key frames are taken as flagged in the file, which is one frame before the
one that ImageNet's list names.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from stpn_data.classes import VID_NAMES, VID_WNIDS, label_table
from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import Video, VideoIndex, build_index
from stpn_data.paths import IMAGE_SUFFIXES, list_files, resolve_inside
from stpn_data.readers.coco_json import NO_VIDEO, CocoTable, read_coco_table
from stpn_data.readers.finish import finish, relabel


def read_coco_vid(
    json_path: str | os.PathLike[str],
    images_root: str | os.PathLike[str],
    *,
    classes: Sequence[str] | None = None,
    on_defect: OnDefect = refuse,
    progress: bool = True,
) -> VideoIndex:
    """Read videos, frames and boxes from `json_path`; `file_name`s are relative to `images_root`.

    Frames of a video are ordered by `frame_id`; an image without `video_id` is a video of one
    frame. Classes are the categories by id, or ImageNet VID's 30 if they are all among them, or
    `classes` (names or WordNet ids); boxes of others are left out and counted in `notes`. Key
    frames are those flagged `is_vid_train_frame`, or all with boxes if none is. Raises DataError at
    the first defect, or hands each to `on_defect` and goes on.
    """
    root = Path(images_root)
    table = read_coco_table(json_path, on_defect, progress=progress)
    if not table.files:
        raise DataError(f"{table.path}: lists no images")
    names = [table.categories[number] for number in sorted(table.categories)]
    if classes is None:
        ours = set(VID_NAMES) <= set(names) or set(VID_WNIDS) <= set(names)
        classes = VID_NAMES if ours else names
    boxes, listing = BoxesByImage(table), FolderListing(root)
    videos = [
        _video(table, name, rows, boxes, listing, on_defect)
        for name, rows in frames_of_videos(table, on_defect)
    ]
    index = build_index(root, classes, f"{Path(table.path).name} over {root}", videos)
    index = relabel(index, names, label_table(classes))
    if 1 not in table.key:
        index = replace(index, keys=np.flatnonzero(np.diff(index.box_start)))
    return finish(index)


class BoxesByImage:
    """Sizes of images, and boxes of a table grouped by image: those of image row r lie at start[r]
    up to start[r + 1].
    """

    def __init__(self, table: CocoTable) -> None:
        rows = table.rows_of_boxes()
        place = {number: i for i, number in enumerate(sorted(table.categories))}
        labels = [place.get(number, -1) for number in table.box_category]
        label = np.array(labels, np.int16)
        good = np.flatnonzero((rows >= 0) & (label >= 0))
        good = good[np.argsort(rows[good], kind="stable")]
        self.sizes = np.array(table.sizes, np.int32).reshape(-1, 2)
        self.start = np.searchsorted(rows[good], np.arange(len(table.files) + 1))
        self.boxes = np.array(table.boxes, np.float32).reshape(-1, 4)[good]
        self.labels = label[good]
        self.tracks = _small(np.array(table.box_track, np.int64)[good])
        self.flags = np.array(table.box_flags, np.uint8)[good]

    def columns(self, rows: NDArray[np.int64]) -> dict[str, NDArray]:
        """Columns of the boxes of these images, for `stpn_data.index.Video`."""
        counts = self.start[rows + 1] - self.start[rows]
        pick = np.concatenate(
            [np.zeros(0, np.int64), *(np.arange(self.start[r], self.start[r + 1]) for r in rows)]
        )
        return {
            "box_counts": counts,
            "boxes": self.boxes[pick],
            "labels": self.labels[pick],
            "tracks": self.tracks[pick],
            "flags": self.flags[pick],
        }


def _small(tracks: NDArray[np.int64]) -> NDArray[np.int32]:
    """Track numbers that fit 32 bits, renumbered only if they do not."""
    if not len(tracks) or tracks.max() < 1 << 31:
        return tracks.astype(np.int32)
    _, renumbered = np.unique(tracks, return_inverse=True)
    return np.where(tracks < 0, -1, renumbered).astype(np.int32)


def frames_of_videos(table: CocoTable, on_defect: OnDefect) -> list[tuple[str, NDArray[np.int64]]]:
    """(name, image rows in order of time) of each video, then of each image outside of videos."""
    video = np.array(table.image_video, np.int64)
    frame = np.array(table.image_frame, np.int64)
    order = np.lexsort((frame, video))
    result = []
    starts = np.searchsorted(video[order], list(table.videos))
    ends = np.searchsorted(video[order], list(table.videos), side="right")
    for (number, name), start, end in zip(table.videos.items(), starts, ends, strict=True):
        rows = order[start:end]
        ids = frame[rows]
        if len(rows) and (ids[0] < 0 or (np.diff(ids) == 0).any()):
            text = f"video {number} {name!r}: a frame_id is absent or given twice"
            on_defect(Defect("json", table.path, text))
            continue
        result.append((name, rows))
    for row in np.flatnonzero(video == NO_VIDEO):
        stem = str(PurePosixPath(table.files[row]).with_suffix(""))
        result.append((stem, np.array([row])))
    return result


def _video(
    table: CocoTable,
    name: str,
    rows: NDArray[np.int64],
    boxes: BoxesByImage,
    listing: FolderListing,
    on_defect: OnDefect,
) -> Video:
    files = [table.files[row] for row in rows]
    folders = {file.rpartition("/")[0] for file in files}
    common = folders.pop() if len(folders) == 1 else ""
    files = [file[len(common) :].lstrip("/") for file in files]
    try:
        folder, present = listing.find(common, files)
    except DataError as error:  # a path that leaves the root
        on_defect(Defect("path", table.path, str(error)))
        folder, present = str(listing.root), [False] * len(files)
    flags = np.array([table.key[row] for row in rows], np.int8)
    return Video(
        name=name,
        folder=folder,
        files=files,
        sizes=boxes.sizes[rows],
        present=np.array(present, bool),
        keys=np.flatnonzero(flags == 1),
        **boxes.columns(rows),
    )


class FolderListing:
    """Which image files exist under a root, each folder listed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, tuple[str, set[str]]] = {}

    def find(self, folder: str, files: Sequence[str]) -> tuple[str, list[bool]]:
        """Absolute path of `folder`, and whether each of `files` (relative to it) exists.

        Raises DataError for a path that leaves the root.
        """
        base, names = self._list(folder)
        found = []
        for file in files:
            inner, _, name = file.rpartition("/")
            here = self._list(f"{folder}/{inner}".strip("/"))[1] if inner else names
            found.append(name in here)
        return base, found

    def _list(self, folder: str) -> tuple[str, set[str]]:
        if folder not in self._names:
            path = os.path.realpath(self.root)
            if folder:
                path = resolve_inside(self.root, folder, str(self.root))
            self._names[folder] = path, list_files(self.root, path, IMAGE_SUFFIXES)
        return self._names[folder]
