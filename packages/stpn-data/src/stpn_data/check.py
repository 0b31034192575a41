"""Audit of a data set: every defect, with file and place, in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stpn_data.audit_index import audit_images, audit_index
from stpn_data.audit_lists import audit_vid_lists
from stpn_data.audit_masks import audit_masks
from stpn_data.audit_targets import TARGET_FORMATS, audit_targets
from stpn_data.datasets import read_layout
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.holdout import parse_part, take_part
from stpn_data.index import VideoIndex
from stpn_data.layouts import Format, Layout, find_layout
from stpn_data.readers.coco_targets import SPLITS as COCO_SPLITS
from stpn_data.readers.coco_targets import find_coco_json
from stpn_data.readers.got10k_splits import SPLITS as GOT10K_SPLITS
from stpn_data.readers.got10k_splits import splits_in
from stpn_data.readers.imagenet import find_base
from stpn_data.readers.lasot import lasot_splits
from stpn_data.readers.own import SPLITS
from stpn_data.readers.trackingnet import TEST, chunks_in
from stpn_data.readers.vis_layout import SPLITS as VIS_SPLITS
from stpn_data.readers.vis_layout import find_vis_json, is_vis_json


@dataclass(frozen=True)
class Audit:
    """What one split holds and what is wrong with it. `index` is None if it could not be read."""

    split: str
    index: VideoIndex | None
    defects: tuple[Defect, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Defects by kind."""
        return dict(sorted(Counter(defect.kind for defect in self.defects).items()))


def check_dataset(
    path: Path,
    *,
    split: str | None = None,
    format: Format = "auto",
    decode: bool = False,
    progress: bool = True,
) -> list[Audit]:
    """Audit one split of the data set at `path`, or all it has.

    Raises DataError only if there is no data set at `path`.
    """
    return [
        _check_split(layout, name, decode, progress)
        for name, layout in splits_of(path, split, format)
    ]


def splits_of(path: Path, split: str | None, format: Format) -> Iterator[tuple[str, Layout]]:
    """The splits at `path` (or the one asked for) and where each lies."""
    if split is None and path.is_dir() and format in ("auto", "youtube_vis"):
        vis = [
            name for name in VIS_SPLITS if (file := find_vis_json(path, name)) and is_vis_json(file)
        ]
        if vis:
            yield from ((name, find_layout(path, name, "youtube_vis")) for name in vis)
            return
    layout = _probe(path, split, format)
    names = [split] if split else _splits(path, layout)
    for name in names:
        yield name, find_layout(path, parse_part(name).split, format)


def _probe(path: Path, split: str | None, format: Format) -> Layout:
    """The layout at `path`, by the split asked for, or by train, or by val where that is all."""
    if split is not None:
        return find_layout(path, parse_part(split).split, format)
    try:
        return find_layout(path, "train", format)
    except DataError as error:
        try:
            return find_layout(path, "val", format)
        except DataError:
            raise error from None


def _splits(path: Path, layout: Layout) -> list[str]:
    if layout.format in ("imagenet_vid", "imagenet_det"):
        part = "VID" if layout.format == "imagenet_vid" else "DET"
        base = find_base(layout.root, part)
        places = [base / "Data" / part, base / "Annotations" / part]
        have = {p.name for place in places if place.is_dir() for p in place.iterdir() if p.is_dir()}
        return [name for name in ("train", "val") if name in have] or sorted(have)
    if layout.format == "got10k":
        return splits_in(path) or [path.name if path.name in GOT10K_SPLITS else "train"]
    if layout.format == "lasot":
        return lasot_splits(path)
    if layout.format == "trackingnet":
        chunks = chunks_in(path)
        return (["train"] if set(chunks) - {TEST} else []) + (["test"] if TEST in chunks else [])
    if layout.format == "coco_targets":
        return [name for name in COCO_SPLITS if find_coco_json(path, name)] or ["train"]
    if layout.format == "own":
        return [name for name in SPLITS if (layout.root / name).is_dir()] or ["train"]
    return [layout.root.stem] if layout.format == "youtube_vis" else ["train"]


def _check_split(layout: Layout, split: str, decode: bool, progress: bool) -> Audit:
    defects: list[Defect] = []
    part = parse_part(split)
    try:
        index = read_layout(layout, part.split, on_defect=defects.append, progress=progress)
        index = take_part(index, part)
    except DataError as error:
        return Audit(split, None, (*defects, Defect("unusable", str(layout.root), str(error))))
    imagenet = layout.format in ("imagenet_vid", "imagenet_det")
    targets = layout.format in TARGET_FORMATS  # their readers look at the numbers of frames
    gaps = layout.format != "youtube_vis" and not targets
    defects += audit_index(index, annotate_all=imagenet, gaps=gaps)
    defects += audit_masks(index, progress=progress)
    if targets:
        defects += audit_targets(layout, part.split, index, progress=progress)
    if layout.format == "imagenet_vid":
        defects += audit_vid_lists(find_base(layout.root, "VID"), part.split, index)
    defects += audit_images(index, decode=decode, progress=progress)
    return Audit(split, index, tuple(dict.fromkeys(defects)))
