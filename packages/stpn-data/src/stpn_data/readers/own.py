"""One's own videos: video files or folders of frames, and beside each a file of boxes.

    my_data/
      classes.txt        optional: one class per line
      train/
        park.mp4         a video …
        park.csv         … and its boxes, or park.jsonl
        street/          or a folder of frames …
          000000.jpg
        street.csv       … and its boxes
      val/
        …

or, instead of the files of boxes, one COCO-style JSON file for each split: `train.json`,
`annotations/train.json` or `annotations/instances_train.json`. Without `train/` and `val/` the
folder itself is the split.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stpn_data.classes import label_table
from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.frame_cache import damaged_video
from stpn_data.image_header import image_size
from stpn_data.index import Video, VideoIndex, build_index
from stpn_data.paths import IMAGE_SUFFIXES, VIDEO_SUFFIXES, walk_files, walk_folders
from stpn_data.readers.finish import finish, relabel
from stpn_data.readers.frame_sets import FrameSet, find_videos, read_frame_set
from stpn_data.readers.imagenet import read_classes
from stpn_data.readers.own_boxes import SUFFIXES, FrameBoxes, read_own_boxes
from stpn_data.readers.own_coco import find_json, read_own_coco, same_categories
from stpn_data.readers.rows import BoxRows, NameTable

SPLITS = ("train", "val", "test")
_Boxes = Mapping[str, FrameBoxes]  # by frame


def read_own(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    on_defect: OnDefect = refuse,
    progress: bool = True,
) -> VideoIndex:
    """Read one split of one's own data, laid out as above.

    Every annotated frame with a usable box may be a key frame. Classes are `classes`, or
    classes.txt, or the categories of the JSON files, or the sorted labels of all splits. Frames
    that boxes are given for but that do not exist stay in the index as missing. Raises DataError at
    the first defect, or hands each to `on_defect` and goes on.
    """
    root = Path(root)
    folder = split_folder(root, split)
    if classes is None and (root / "classes.txt").is_file():
        classes = read_classes(root / "classes.txt")
    if path := find_json(root, split):
        others = [p for s in SPLITS if (p := find_json(root, s))]
        categories = same_categories(path, others)
        videos = read_own_coco(path, root, folder, on_defect)
        classes = classes or categories
    else:
        videos = _read_files(root, folder, on_defect)
        classes = classes or _labels_everywhere(root, videos)
    names = NameTable()
    # a video file nobody annotated is of no use here, and decoding it takes time and room
    useless = {n for n, boxes in videos.items() if not boxes and n.lower().endswith(VIDEO_SUFFIXES)}
    read = [
        _video(root, name, boxes, names, on_defect, progress)
        for name, boxes in videos.items()
        if name not in useless
    ]
    notes = [f"{len(useless)} video files without boxes are left out"] if useless else []
    damaged = [source for video in read if (source := damaged_video(video.folder))]
    if damaged:
        notes.append(f"{len(damaged)} videos end early or are damaged, first {damaged[0]}")
    index = build_index(root, classes, f"{split} of {root}", read, notes)
    if not index.num_frames:
        raise DataError(
            f"{folder}: no videos and no folders of images; expected e.g. {folder}/park.mp4 and "
            f"{folder}/park.csv"
        )
    table = label_table(classes)
    for name in names.names:
        if name not in table:
            text = f"class {name!r} is not among the classes ({', '.join(classes)[:200]})"
            on_defect(Defect("class", str(root), text))
    return finish(relabel(index, names.names, table))


def read_frames_folder(path: str | os.PathLike[str]) -> VideoIndex:
    """A folder of frames, or of such folders, without boxes. Raises DataError if it has none."""
    root = Path(path)
    folders = walk_folders(root, str(root), IMAGE_SUFFIXES)
    if not folders:
        raise DataError(f"{root}: no images in it or in folders below")
    videos = [_video(root, name, {}, NameTable(), refuse, False) for name in folders]
    return build_index(root, (), str(root), videos)


def split_folder(root: Path, split: str) -> Path:
    """`root/split`, or `root` itself if it has no splits. Raises DataError if only others are
    there.
    """
    if (root / split).is_dir():
        return root / split
    others = [name for name in SPLITS if (root / name).is_dir()]
    if others or not root.is_dir():
        raise DataError(
            f"{root}: no folder {split!r} in it" + (f", only {', '.join(others)}" if others else "")
        )
    return root


def _read_files(root: Path, folder: Path, on_defect: OnDefect) -> dict[str, _Boxes]:
    """Boxes by video (relative to `root`) from the files beside the videos."""
    inside = "" if folder == root else f"{folder.name}/"
    files = dict.fromkeys(walk_files(root, str(folder), SUFFIXES))
    videos: dict[str, _Boxes] = {}
    claimed: dict[str, str] = {}
    for name in find_videos(root, folder):
        base = _without_ending(name)
        if base in claimed:
            text = f"{name} and {claimed[base]} would share one file of boxes; rename one"
            on_defect(Defect("boxes", str(folder), text))
        claimed[base] = name
        own = [base + suffix for suffix in SUFFIXES if base + suffix in files]
        if len(own) > 1:
            on_defect(Defect("boxes", str(folder / name), f"has both {' and '.join(own)}"))
        for file in own:
            del files[file]
        boxes = read_own_boxes(folder / own[0], on_defect) if own else {}
        videos[(inside + name).rstrip("/")] = boxes
    for file in files:
        on_defect(Defect("boxes", str(folder / file), "no video or folder of this name beside it"))
    return videos


def _labels_everywhere(root: Path, videos: Mapping[str, _Boxes]) -> list[str]:
    """Sorted labels of all splits, so that every split numbers them alike."""
    every = [videos]
    for split in SPLITS:
        if (root / split).is_dir():
            every.append(_read_files(root, root / split, lambda _: None))
    return sorted(
        {
            name
            for part in every
            for boxes in part.values()
            for b in boxes.values()
            for name in b.names
        }
    )


def _video(
    root: Path,
    name: str,
    boxes: _Boxes,
    names: NameTable,
    on_defect: OnDefect,
    progress: bool,
) -> Video:
    frames = read_frame_set(root, name, str(root), progress=progress).with_missing(boxes)
    by_position: dict[int, FrameBoxes] = {}
    for frame, entry in boxes.items():
        position = frames.position(frame)
        assert position is not None  # with_missing made a place for each
        if position in by_position:
            first = by_position[position].place
            on_defect(Defect("boxes", entry.place, f"the same frame as in {first}"))
        by_position[position] = entry
    rows = BoxRows(names)
    sizes = frames.sizes.copy()
    for i in range(len(frames.files)):
        if i in by_position:
            entry = by_position[i]
            sizes[i] = _size(frames, i, entry, on_defect)
            rows.add_frame(entry.boxes, entry.names, entry.tracks, [0] * len(entry.boxes))
        else:
            rows.add_frame()
    columns = rows.columns()
    annotated = np.array([i in by_position for i in range(len(frames.files))], bool)
    return Video(
        name=_without_ending(name) or root.resolve().name,
        folder=frames.folder,
        files=frames.files,
        sizes=sizes,
        annotated=annotated,
        present=frames.present,
        keys=np.flatnonzero(columns["box_counts"]),
        **columns,
    )


def _size(
    frames: FrameSet, i: int, entry: FrameBoxes, on_defect: OnDefect
) -> tuple[int, int] | np.ndarray:
    if not frames.present[i]:
        return entry.size or (0, 0)
    size = frames.sizes[i]
    if not size.all():
        try:
            size = np.array(image_size(f"{frames.folder}/{frames.files[i]}"))
        except DataError as error:
            on_defect(Defect("image", entry.place, str(error)))
            return entry.size or (0, 0)
    if entry.size and tuple(size) != entry.size:
        text = f"the frame is {size[0]}×{size[1]}, but stated as {entry.size[0]}×{entry.size[1]}"
        on_defect(Defect("size", entry.place, text))
    return size


def _without_ending(name: str) -> str:
    return os.path.splitext(name)[0] if name.lower().endswith(VIDEO_SUFFIXES) else name
