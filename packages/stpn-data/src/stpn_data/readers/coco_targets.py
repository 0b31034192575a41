"""COCO's annotated objects as sequences of one frame, to train a tracker on.

    COCO/annotations/instances_train2017.json       (or instances_train2014.json, val)
    COCO/train2017/000000000009.jpg …

The template and the search image of such a sequence are the same frame. The released training code
takes objects that are wider and higher than 50 pixels and no crowds, and so does this.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.readers.coco_json import CocoTable, read_coco_table
from stpn_data.readers.coco_vid import FolderListing
from stpn_data.readers.finish import finish

SMALLEST = 50.0  # pixels; a side must be longer
SPLITS = ("train", "val")
YEARS = ("2017", "2014")
_INSTANCES = re.compile(r"instances_(\w+)")


def read_coco_targets(
    json_path: str | os.PathLike[str],
    images: str | os.PathLike[str] | None = None,
    *,
    classes: Sequence[str] | None = None,
    smallest: float = SMALLEST,
    on_defect: OnDefect = refuse,
    progress: bool = True,
) -> VideoIndex:
    """One video of one frame for each annotation, in the order of images, then of annotations.

    images: folder of the images; found beside the file otherwise.
    classes: names to take, in this order; default: the categories of the file by id.
    smallest: of a side in pixels, exclusive.

    Crowds, small objects and other classes are left out and counted in `notes`. Raises DataError at
    the first defect, and if nothing is left.
    """
    path = Path(json_path)
    root = Path(images) if images is not None else coco_images(path)
    table = read_coco_table(path, on_defect, progress=progress)
    rows = table.rows_of_boxes()
    boxes = np.array(table.boxes, np.float32).reshape(-1, 4)
    labels, names = _labels(table, classes)
    crowd = np.array(table.box_crowd, bool)
    small = ~((boxes[:, 2:] - boxes[:, :2]) > smallest).all(axis=1)
    known = rows >= 0  # others are defects that were reported
    kept = np.flatnonzero(known & ~crowd & (labels >= 0) & ~small)
    kept = kept[np.argsort(rows[kept], kind="stable")]
    if not len(kept):
        raise DataError(f"{path}: no object is wider and higher than {smallest:g} pixels")
    left = (crowd, ~crowd & (labels < 0), ~crowd & (labels >= 0) & small)
    what = ("crowds", "objects of other classes", f"objects of up to {smallest:g} pixels a side")
    notes = tuple(
        f"{count} {text} are left out"
        for mask, text in zip(left, what, strict=True)
        if (count := int((mask & known).sum()))
    )
    images_of = _Images(table, root, rows[kept], on_defect)
    ids = np.array(table.box_id, np.int64)[kept]
    count = len(kept)
    every = np.arange(count + 1, dtype=np.int64)
    encoded = [file.encode() for file in images_of.files]
    lengths = np.fromiter(map(len, encoded), np.int64, count)
    index = VideoIndex(
        root=root,
        classes=names,
        source=f"objects of {path.name} over {root}",
        video_names=tuple(
            f"{os.path.splitext(file)[0]}-{number if number >= 0 else f'row{row}'}"
            for file, number, row in zip(images_of.files, ids, kept, strict=True)
        ),
        folders=images_of.folders,
        video_start=every,
        name_bytes=np.frombuffer(b"".join(encoded), np.uint8),
        name_start=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        sizes=np.array(table.sizes, np.int32).reshape(-1, 2)[rows[kept]],
        annotated=np.ones(count, bool),
        present=images_of.present,
        box_start=every,
        boxes=boxes[kept],
        labels=labels[kept],
        tracks=np.zeros(count, np.int32),
        flags=np.zeros(count, np.uint8),
        keys=every[:-1],
        notes=notes,
    )
    return finish(index)


def find_coco_json(root: Path, split: str) -> Path | None:
    """COCO's own file of `split`: annotations/instances_<split>2017.json, or 2014."""
    files = (root / "annotations" / f"instances_{split}{year}.json" for year in ("", *YEARS))
    return next((file for file in files if file.is_file() and file.stem[-4:] in YEARS), None)


def coco_images(json_path: Path) -> Path:
    """Folder of the images of `instances_train2017.json`: train2017 beside annotations/."""
    found = _INSTANCES.fullmatch(json_path.stem)
    top = json_path.parent.parent if json_path.parent.name == "annotations" else json_path.parent
    name = found[1] if found else json_path.stem
    tries = [top / name, top / "images" / name, json_path.parent / name]
    return next((folder for folder in tries if folder.is_dir()), top)


def _labels(
    table: CocoTable, classes: Sequence[str] | None
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Label of each annotation (-1: another class), and the names of the classes."""
    ids = {table.categories[number]: number for number in sorted(table.categories)}
    names = tuple(ids) if classes is None else tuple(classes)
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise DataError(
            f"{table.path}: has no category {unknown[0]!r}; it has {', '.join(ids)[:200]}"
        )
    label = {ids[name]: i for i, name in enumerate(names)}
    found = (label.get(number, -1) for number in table.box_category)
    return np.fromiter(found, np.int16, len(table.box_category)), names


class _Images:
    """Folder, file name and presence of the image of each kept annotation."""

    def __init__(
        self, table: CocoTable, root: Path, rows: NDArray[np.int64], on_defect: OnDefect
    ) -> None:
        listing = FolderListing(root)
        found: dict[int, tuple[str, str, bool]] = {}
        for row in rows.tolist():
            if row in found:
                continue
            inner, _, name = table.files[row].rpartition("/")
            try:
                folder, (present,) = listing.find(inner, [name])
            except DataError as error:  # a path that leaves the root
                on_defect(Defect("path", table.path, str(error)))
                folder, present = str(root), False
            found[row] = folder, name, present
        each = [found[row] for row in rows.tolist()]
        self.folders = tuple(folder for folder, _, _ in each)
        self.files = [name for _, name, _ in each]
        self.present = np.array([present for _, _, present in each], bool)
