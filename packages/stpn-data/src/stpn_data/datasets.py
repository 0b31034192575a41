"""One way in: find out what layout a data set has, and read it, or its stored index, quickly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from stpn_data.cache import cached_index, fingerprint, load_index, save_index
from stpn_data.defects import OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.holdout import parse_part, take_part
from stpn_data.index import VideoIndex
from stpn_data.layouts import Format, Layout, find_layout
from stpn_data.readers.coco_targets import read_coco_targets
from stpn_data.readers.coco_vid import read_coco_vid
from stpn_data.readers.got10k import read_got10k
from stpn_data.readers.got10k_splits import part_file, split_of
from stpn_data.readers.imagenet import find_base
from stpn_data.readers.imagenet_det import read_imagenet_det
from stpn_data.readers.imagenet_vid import read_imagenet_vid
from stpn_data.readers.lasot import read_lasot
from stpn_data.readers.lists import FOLDERS
from stpn_data.readers.own import read_frames_folder, read_own
from stpn_data.readers.trackingnet import chunks_of, read_trackingnet
from stpn_data.readers.youtube_vis import read_youtube_vis

_TARGETS = {"got10k": read_got10k, "lasot": read_lasot, "trackingnet": read_trackingnet}


def open_dataset(
    path: str | os.PathLike[str],
    split: str = "train",
    *,
    format: Format = "auto",
    classes: Sequence[str] | None = None,
    mmtracking_offbyone: bool = False,
    cache: bool = True,
    progress: bool = True,
) -> VideoIndex:
    """Index of one split of the data set at `path`.

    Formats: `imagenet_vid` and `imagenet_det` (folder with Data/ and Annotations/), `coco_vid` (a JSON
    file, or a folder with annotations/imagenet_vid_<split>.json), `youtube_vis` (instance masks:
    YouTube-VIS or OVIS as unpacked, or a JSON file), `got10k`, `lasot`, `trackingnet`
    (one target per video), `coco_targets` (COCO's objects as videos of one frame), `own` (videos or
    folders of frames with files of boxes), `frames` (no boxes). `auto` looks. `train[:90%]` leaves a
    tenth of the videos out and `train[90%:]` is that tenth, see `hold_out`. The index is stored in the
    cache folder and read again when an annotation, a list or the set of files has changed;
    `cache=False` always reads.
    Raises DataError that says what was looked for, or names the first defect.
    """
    part = parse_part(split)
    split = part.split
    layout = find_layout(path, split, format)
    options = (*(classes or ()), f"offbyone={mmtracking_offbyone}")
    store = cached_index((*map(str, layout), split, str(Path(path).resolve()), *options))
    stamp = fingerprint(_sources(layout, split)) if cache else ""
    if cache and (index := load_index(store, stamp)):
        return take_part(index, part)
    index = read_layout(
        layout,
        split,
        classes=classes,
        mmtracking_offbyone=mmtracking_offbyone,
        progress=progress,
    )
    if cache:
        save_index(store, index, stamp)
    return take_part(index, part)


def read_layout(
    layout: Layout,
    split: str,
    *,
    classes: Sequence[str] | None = None,
    mmtracking_offbyone: bool = False,
    on_defect: OnDefect = refuse,
    progress: bool = True,
) -> VideoIndex:
    """Read without the cache; defects go to `on_defect`."""
    match layout.format:
        case "imagenet_vid":
            return read_imagenet_vid(
                layout.root,
                split,
                classes=classes,
                mmtracking_offbyone=mmtracking_offbyone,
                on_defect=on_defect,
                progress=progress,
            )
        case "imagenet_det":
            given = {} if classes is None else {"classes": classes}
            return read_imagenet_det(
                layout.root, split, on_defect=on_defect, progress=progress, **given
            )
        case "coco_vid":
            assert layout.images is not None
            return read_coco_vid(
                layout.root, layout.images, classes=classes, on_defect=on_defect, progress=progress
            )
        case "youtube_vis":
            assert layout.images is not None
            return read_youtube_vis(
                layout.root,
                split,
                images=layout.images,
                classes=classes,
                on_defect=on_defect,
                on_oddity=None if on_defect is refuse else on_defect,
                progress=progress,
            )
        case "got10k" | "lasot" | "trackingnet":
            return _TARGETS[layout.format](
                layout.root,
                split,
                classes=classes,
                on_defect=on_defect,
                on_oddity=None if on_defect is refuse else on_defect,
                progress=progress,
            )
        case "coco_targets":
            return read_coco_targets(
                layout.root, layout.images, classes=classes, on_defect=on_defect, progress=progress
            )
        case "own":
            return read_own(
                layout.root, split, classes=classes, on_defect=on_defect, progress=progress
            )
        case "frames":
            return read_frames_folder(layout.root)
        case _:
            raise DataError(f"{layout.root}: unknown format {layout.format!r}")


def _sources(layout: Layout, split: str) -> list[Path]:
    """What an index depends on. Only the split's own images, but every split's annotations."""
    match layout.format:
        case "imagenet_vid" | "imagenet_det":
            part = "VID" if layout.format == "imagenet_vid" else "DET"
            base = find_base(layout.root, part)
            lists = [base / folder for folder in FOLDERS if (base / folder).is_dir()]
            annotations = base / "Annotations" / part
            return [*lists, base / "classes.txt", annotations, base / "Data" / part / split]
        case "coco_vid" | "youtube_vis" | "coco_targets":
            assert layout.images is not None
            return [layout.root, layout.images]
        case "got10k":
            listed = part_file(layout.root, split)
            places = [split_of(layout.root, split), layout.root / "classes.txt"]
            return places if listed is None else [*places, listed]
        case "trackingnet":
            chunks = [layout.root / chunk for chunk in chunks_of(layout.root, split)]
            return [*chunks, layout.root / "classes.txt"]
        case _:
            return [layout.root]
