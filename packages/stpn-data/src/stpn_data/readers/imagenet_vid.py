"""ImageNet VID as it lies on disk: `Data/VID`, `Annotations/VID` and lists of videos and frames.

    ILSVRC/{Data,Annotations}/VID/train/<shard>/<video>/000000.{JPEG,xml}
    ILSVRC/{Data,Annotations}/VID/val/<video>/000000.{JPEG,xml}
    ILSVRC/{ImageSets/VID,Lists}/VID_train_15frames.txt, VID_val_videos.txt, VID_val_frames.txt

Images, annotations and list entries are paired by name, never by position, so a missing file leaves
a gap and shifts nothing. Frame numbers in VID_train_15frames count from 0 and are used as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import Video, VideoIndex, build_index
from stpn_data.paths import list_files, walk_folders
from stpn_data.readers.finish import finish
from stpn_data.readers.imagenet import (
    IMAGE_SUFFIXES,
    find_base,
    folder_pair,
    images_by_stem,
    read_one,
    settle_classes,
)
from stpn_data.readers.lists import find_list, read_list
from stpn_data.readers.rows import BoxRows, NameTable
from stpn_data.readers.threads import reading

KEYS_PER_VIDEO = 15
MAX_FRAMES = 1_000_000  # of one video that a list names; the longest real one has 5,492


@dataclass
class _Listed:
    """What the lists say about one video."""

    place: str  # where it is named
    frames: list[str] = field(default_factory=list)  # names without ending, in order
    keys: list[str] | None = None  # None: spread some over the video
    only_listed: bool = False  # other frames on disk do not belong to the split


def read_imagenet_vid(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] | None = None,
    keys_per_video: int = KEYS_PER_VIDEO,
    mmtracking_offbyone: bool = False,
    on_defect: OnDefect = refuse,
    progress: bool = True,
) -> VideoIndex:
    """Read one split. `root` holds Data/ and Annotations/, or ILSVRC/ or ILSVRC2015/ that does.

    Train: the videos of VID_train_15frames with all their frames (any may be support), its entries
    as key frames. Val: exactly the frames of VID_val_frames or, without it, of VID_val_videos.
    Without lists: all folders of the split, and `keys_per_video` key frames spread over each video.
    `mmtracking_offbyone` takes the list's frame numbers minus one and drops those below 0, as the
    JSON files of mmtracking do. Labels: see `settle_classes`. Raises DataError at the first defect,
    or hands each to `on_defect` and goes on.
    """
    base = find_base(root, "VID")
    shift = -1 if mmtracking_offbyone else 0
    videos = _listed_videos(base, split, shift, on_defect)
    if videos is None:
        videos = _videos_on_disk(base, split)
    names = NameTable()

    def read(item: tuple[str, _Listed], report: OnDefect) -> Video | None:
        name, listed = item
        try:
            return _read_video(base, name, listed, names, keys_per_video, report)
        except DataError as error:  # a path that leaves the root
            report(Defect("path", listed.place, str(error).removeprefix(f"{listed.place}: ")))
            return None

    with reading(read, videos.items(), on_defect) as results:
        bar = tqdm(
            results,
            desc=f"indexing VID {split}",
            total=len(videos),
            unit="video",
            disable=None if progress else True,
        )
        found = [video for video in bar if video is not None]
    index = build_index(base, (), f"ImageNet VID {split} in {base}", found)
    if not index.num_frames:
        raise DataError(f"{base}: no frames in Data/VID/{split} or Annotations/VID/{split}")

    def all_names() -> Iterator[str]:
        found = NameTable()
        for other in _splits(base):
            for name in _videos_on_disk(base, other):
                _read_video(base, name, _Listed(""), found, 0, lambda _: None)
        yield from found.names

    return finish(settle_classes(index, base, names.names, classes, all_names, on_defect))


def _read_video(
    base: Path,
    name: str,
    listed: _Listed,
    names: NameTable,
    keys_per_video: int,
    on_defect: OnDefect,
) -> Video:
    images_in, xml_in = folder_pair(base, "VID", name, listed.place)
    images = images_by_stem(base, images_in, on_defect)
    xml = {file[:-4]: file for file in list_files(base, xml_in, (".xml",))}
    stems = listed.frames
    if not listed.only_listed:
        numbered = (stem for stem in {*images, *xml} if stem.isascii() and stem.isdecimal())
        stems = sorted({*stems, *numbered}, key=lambda stem: (int(stem), stem))
    rows = BoxRows(names)
    sizes = np.zeros((len(stems), 2), np.int32)
    annotated = np.zeros(len(stems), bool)
    for i, stem in enumerate(stems):
        annotation = read_one(f"{xml_in}/{xml[stem]}", on_defect) if stem in xml else None
        if annotation is None:
            rows.add_frame()
            continue
        annotated[i] = True
        sizes[i] = annotation.width, annotation.height
        rows.add_frame(annotation.boxes, annotation.names, annotation.tracks, annotation.flags)
    columns = rows.columns()
    return Video(
        name=name,
        folder=images_in,
        files=[images.get(stem, f"{stem}.JPEG") for stem in stems],
        sizes=sizes,
        annotated=annotated,
        present=np.array([stem in images for stem in stems], bool),
        keys=_keys(stems, columns["box_counts"], listed, keys_per_video),
        **columns,
    )


def _keys(
    stems: Sequence[str], box_counts: NDArray[np.int64], listed: _Listed, keys_per_video: int
) -> list[int]:
    if listed.keys is not None:
        position = {stem: i for i, stem in enumerate(stems)}
        return [position[stem] for stem in listed.keys]  # every listed frame has a place
    candidates = np.flatnonzero(box_counts)
    count = len(candidates) if listed.only_listed else min(keys_per_video, len(candidates))
    return candidates[np.arange(count) * len(candidates) // max(count, 1)].tolist()


def _listed_videos(
    base: Path, split: str, shift: int, on_defect: OnDefect
) -> dict[str, _Listed] | None:
    """Videos of the split from its list files; None if there is no list."""
    videos: dict[str, _Listed] = {}
    if path := find_list(base, f"VID_{split}_15frames"):
        lengths: dict[str, int] = {}
        for line in read_list(path, 3, on_defect):
            _, frame, length = line.numbers
            if length > MAX_FRAMES:
                on_defect(Defect("list", line.place, f"a video of {length} frames"))
                continue
            if line.path not in videos:
                videos[line.path] = _Listed(line.place, _frames(length), [])
            keys = videos[line.path].keys
            assert keys is not None
            if lengths.setdefault(line.path, length) != length or frame >= length:
                text = (
                    f"frame {frame} of {length}, but {lengths[line.path]} frames were named before"
                )
                on_defect(Defect("list", line.place, text))
            elif frame + shift >= 0:
                keys.append(f"{frame + shift:06d}")
    elif path := find_list(base, f"VID_{split}_frames"):
        for line in read_list(path, 1, on_defect):
            name, _, stem = line.path.rpartition("/")
            videos.setdefault(name, _Listed(line.place, only_listed=True)).frames.append(stem)
    elif path := find_list(base, f"VID_{split}_videos"):
        for line in read_list(path, 3, on_defect):
            if line.numbers[2] > MAX_FRAMES:
                on_defect(Defect("list", line.place, f"a video of {line.numbers[2]} frames"))
                continue
            frames = _frames(line.numbers[2])
            videos[line.path] = _Listed(line.place, frames, only_listed=True)
    else:
        return None
    return videos


def _frames(length: int) -> list[str]:
    return [f"{i:06d}" for i in range(length)]


def _videos_on_disk(base: Path, split: str) -> dict[str, _Listed]:
    """Every folder of the split that holds images or annotations."""
    images_in, xml_in = folder_pair(base, "VID", split, str(base))
    found = {
        *walk_folders(base, images_in, IMAGE_SUFFIXES),
        *walk_folders(base, xml_in, (".xml",)),
    } - {""}
    if not found:
        have = ", ".join(_splits(base)) or "none"
        raise DataError(
            f"{base}: no videos in Data/VID/{split} and no list VID_{split}_*.txt in "
            f"ImageSets/VID or Lists; splits found: {have}"
        )
    return {f"{split}/{name}": _Listed(str(base)) for name in sorted(found)}


def _splits(base: Path) -> Iterable[str]:
    parts = [base / "Data/VID", base / "Annotations/VID"]
    return sorted({p.name for part in parts if part.is_dir() for p in part.iterdir() if p.is_dir()})
