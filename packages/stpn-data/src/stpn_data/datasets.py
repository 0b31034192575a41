"""One way in: find out what layout a data set has, and read it, or its stored index, quickly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from stpn_data.cache import cached_index, fingerprint, load_index, save_index
from stpn_data.defects import OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.holdout import parse_part, take_part
from stpn_data.index import VideoIndex
from stpn_data.paths import IMAGE_SUFFIXES
from stpn_data.readers.coco_vid import read_coco_vid
from stpn_data.readers.got10k import is_split, read_got10k, split_of, splits_in
from stpn_data.readers.imagenet import find_base
from stpn_data.readers.imagenet_det import read_imagenet_det
from stpn_data.readers.imagenet_vid import read_imagenet_vid
from stpn_data.readers.lists import FOLDERS
from stpn_data.readers.own import SPLITS, read_frames_folder, read_own
from stpn_data.readers.own_coco import find_json
from stpn_data.readers.vis_layout import SPLITS as VIS_SPLITS
from stpn_data.readers.vis_layout import find_vis_json, is_vis_json, require_vis_json, vis_images
from stpn_data.readers.youtube_vis import read_youtube_vis

Format = Literal[
    "auto",
    "imagenet_vid",
    "imagenet_det",
    "coco_vid",
    "youtube_vis",
    "got10k",
    "own",
    "frames",
]


class Layout(NamedTuple):
    """What was found at a path."""

    format: Format
    root: Path  # what the reader takes
    images: Path | None = None  # coco_vid, youtube_vis: what file names are relative to


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
    YouTube-VIS or OVIS as unpacked, or a JSON file), `got10k` (one target per video), `own` (videos or
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
        case "got10k":
            return read_got10k(
                layout.root,
                split,
                classes=classes,
                on_defect=on_defect,
                on_oddity=None if on_defect is refuse else on_defect,
                progress=progress,
            )
        case "own":
            return read_own(
                layout.root, split, classes=classes, on_defect=on_defect, progress=progress
            )
        case "frames":
            return read_frames_folder(layout.root)
        case _:
            raise DataError(f"{layout.root}: unknown format {layout.format!r}")


def find_layout(path: str | os.PathLike[str], split: str, format: Format = "auto") -> Layout:
    """Which layout lies at `path`. Raises DataError that lists what was looked for."""
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if format == "youtube_vis":
        return _vis_layout(require_vis_json(path, split))
    if format == "auto" and path.suffix.lower() == ".json" and path.is_file() and is_vis_json(path):
        return _vis_layout(path)
    if format == "coco_vid" or (format == "auto" and path.suffix.lower() == ".json"):
        return _coco_layout(path, split)
    if not path.is_dir():
        raise DataError(f"{path}: a data set is a folder or a .json file")
    if format != "auto":
        return Layout(format, path)
    for part in ("VID", "DET"):
        if any((p / part).is_dir() for p in _imagenet_parts(path)):
            return Layout("imagenet_vid" if part == "VID" else "imagenet_det", path)
    if _mmtracking_json(path, split).is_file():
        return _coco_layout(path, split)
    vis = [file for name in (split, *VIS_SPLITS) if (file := find_vis_json(path, name))]
    if any(is_vis_json(file) for file in vis):
        return _vis_layout(require_vis_json(path, split))
    if splits_in(path) or is_split(path):
        return Layout("got10k", path)
    if any((path / name).is_dir() for name in SPLITS) or find_json(path, split):
        return Layout("own", path)
    if _holds(path, (".csv", ".jsonl")):
        return Layout("own", path)
    if any(_holds(p, IMAGE_SUFFIXES) for p in (path, *path.iterdir()) if p.is_dir()):
        return Layout("frames", path)
    raise DataError(
        f"{path}: no data set found. Looked for Data/VID or Annotations/VID (also in ILSVRC/ and "
        f"ILSVRC2015/), annotations/imagenet_vid_{split}.json, a folder {split}/ or file {split}.json "
        "(boxes, or masks as in YouTube-VIS), sequences with groundtruth.txt (GOT-10k), "
        "files of boxes (.csv, .jsonl) and folders of images; give `format` if it is one of these"
    )


def _holds(folder: Path, suffixes: tuple[str, ...]) -> bool:
    return any(path.name.lower().endswith(suffixes) for path in folder.iterdir())


def _imagenet_parts(path: Path) -> list[Path]:
    bases = (path, path / "ILSVRC", path / "ILSVRC2015")
    return [base / part for base in bases for part in ("Data", "Annotations")]


def _mmtracking_json(path: Path, split: str) -> Path:
    return path / "annotations" / f"imagenet_vid_{split}.json"


def _coco_layout(path: Path, split: str) -> Layout:
    file = path if path.is_file() else _mmtracking_json(path, split)
    if not file.is_file():
        raise DataError(
            f"{path}: no annotations/imagenet_vid_{split}.json in it; give the .json file"
        )
    tops = (file.parent, file.parent.parent)
    parts = ("Data/VID", "Data/DET") if "det" not in file.name else ("Data/DET", "Data/VID")
    for images in [top / part for top in tops for part in parts]:
        if images.is_dir():
            return Layout("coco_vid", file, images)
    inside = file.parent.name == "annotations"
    return Layout("coco_vid", file, file.parent.parent if inside else file.parent)


def _vis_layout(file: Path) -> Layout:
    return Layout("youtube_vis", file, vis_images(file))


def _sources(layout: Layout, split: str) -> list[Path]:
    """What an index depends on. Only the split's own images, but every split's annotations."""
    match layout.format:
        case "imagenet_vid" | "imagenet_det":
            part = "VID" if layout.format == "imagenet_vid" else "DET"
            base = find_base(layout.root, part)
            lists = [base / folder for folder in FOLDERS if (base / folder).is_dir()]
            annotations = base / "Annotations" / part
            return [*lists, base / "classes.txt", annotations, base / "Data" / part / split]
        case "coco_vid" | "youtube_vis":
            assert layout.images is not None
            return [layout.root, layout.images]
        case "got10k":
            folder = split_of(layout.root, split)
            return [folder, folder.parent / "classes.txt"]
        case _:
            return [layout.root]
