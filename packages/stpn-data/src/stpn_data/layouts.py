"""Which of the known layouts lies at a path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

from stpn_data.errors import DataError
from stpn_data.paths import IMAGE_SUFFIXES
from stpn_data.readers.coco_targets import SPLITS as COCO_SPLITS
from stpn_data.readers.coco_targets import coco_images, find_coco_json
from stpn_data.readers.got10k_splits import is_split, splits_in
from stpn_data.readers.lasot import is_lasot
from stpn_data.readers.own import SPLITS
from stpn_data.readers.own_coco import find_json
from stpn_data.readers.trackingnet import chunks_in
from stpn_data.readers.vis_layout import SPLITS as VIS_SPLITS
from stpn_data.readers.vis_layout import find_vis_json, is_vis_json, require_vis_json, vis_images

Format = Literal[
    "auto",
    "imagenet_vid",
    "imagenet_det",
    "coco_vid",
    "youtube_vis",
    "got10k",
    "lasot",
    "trackingnet",
    "coco_targets",
    "own",
    "frames",
]


class Layout(NamedTuple):
    """What was found at a path."""

    format: Format
    root: Path  # what the reader takes
    images: Path | None = None  # coco_vid, youtube_vis: what file names are relative to


def find_layout(path: str | os.PathLike[str], split: str, format: Format = "auto") -> Layout:
    """Which layout lies at `path`. Raises DataError that lists what was looked for."""
    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if format == "youtube_vis":
        return _vis_layout(require_vis_json(path, split))
    if format == "auto" and path.suffix.lower() == ".json" and path.is_file() and is_vis_json(path):
        return _vis_layout(path)
    if format == "coco_targets":
        return _coco_targets_layout(path, split)
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
    if chunks_in(path):
        return Layout("trackingnet", path)
    if any(find_coco_json(path, name) for name in (split, *COCO_SPLITS)):
        return _coco_targets_layout(path, split)
    if is_lasot(path):
        return Layout("lasot", path)
    if any((path / name).is_dir() for name in SPLITS) or find_json(path, split):
        return Layout("own", path)
    if _holds(path, (".csv", ".jsonl")):
        return Layout("own", path)
    if any(_holds(p, IMAGE_SUFFIXES) for p in (path, *path.iterdir()) if p.is_dir()):
        return Layout("frames", path)
    raise DataError(
        f"{path}: no data set found. Looked for Data/VID or Annotations/VID (also in ILSVRC/ and "
        f"ILSVRC2015/), annotations/imagenet_vid_{split}.json, a folder {split}/ or file {split}.json "
        "(boxes, or masks as in YouTube-VIS), sequences with groundtruth.txt (GOT-10k, LaSOT), TRAIN_0 "
        f"(TrackingNet), annotations/instances_{split}2017.json (COCO), "
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


def _coco_targets_layout(path: Path, split: str) -> Layout:
    file = path if path.is_file() else find_coco_json(path, split)
    if file is None:
        raise DataError(
            f"{path}: no annotations/instances_{split}2017.json (or 2014) in it; give the .json file"
        )
    return Layout("coco_targets", file, coco_images(file))


def _vis_layout(file: Path) -> Layout:
    return Layout("youtube_vis", file, vis_images(file))
