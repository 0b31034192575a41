"""What a data set says of its targets, for evaluation.

GOT-10k and OTB are read as their evaluators read them; every other layout through the data set's
index, whose boxes are 32-bit (exact for LaSOT's whole pixels).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from stpn_core.errors import InputError
from stpn_vot.metrics.overlap import Array
from stpn_vot.metrics.text_numbers import read_numbers, read_text

Layout = Literal["got10k", "otb", "lasot", "other"]
_OTB = "groundtruth_rect"


@dataclass(frozen=True, eq=False)
class Truth:
    """One sequence of N frames from the given box on: boxes (N, 4) x, y, w, h; cover (N,) visible
    share in eighths, 0 where the target is not to be seen; the frames' width and height if known,
    and the object's class."""

    boxes: Array
    cover: Array
    size: tuple[int, int] | None
    object_class: str


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Sequences by name, in order. source: the data set, for people. visibility: its evaluators look
    at whether a target is visible (see `one_pass`)."""

    sequences: Mapping[str, Truth]
    layout: Layout
    source: str
    visibility: bool

    @property
    def measurable(self) -> bool:
        """Whether a frame after the given ones is annotated; in official test sets none is."""
        return any((one.cover[1:] > 0).any() for one in self.sequences.values())


def read_ground_truth(data: str | Path, split: str) -> GroundTruth:
    """The annotation of `split`; where it ends with the given boxes, it is not `measurable`.

    data: folder with GOT-10k's splits, or one of them; a folder of OTB's sequences; or a data set
    that `stpn_data` reads (LaSOT, TrackingNet, own videos). Raises InputError or DataError naming
    the first file that is missing or cannot be used.
    """
    data = Path(data)
    folder = _labelled_split(data, split)
    if folder is not None:
        found = {name: _got10k(folder / name) for name in sequence_names(folder)}
        return GroundTruth(found, "got10k", f"GOT-10k {split} in {folder}", visibility=False)
    files = sorted((*data.glob(f"*/{_OTB}*.txt"), *data.glob(f"{split}/*/{_OTB}*.txt")))
    if files:
        found = {_otb_name(file): _otb(file) for file in files}
        return GroundTruth(found, "otb", f"OTB in {data}", visibility=False)
    return _indexed(data, split)


def _labelled_split(data: Path, split: str) -> Path | None:
    """Where a split with GOT-10k's labels lies, None if there is none."""
    places = (data / split, data)
    return next((one for one in places if next(one.glob("*/cover.label"), None)), None)


def sequence_names(split: Path) -> list[str]:
    """Names in list.txt, in order. Raises InputError if there is none."""
    names = [line.strip() for line in read_text(split / "list.txt").splitlines() if line.strip()]
    if not names:
        raise InputError(f"{split / 'list.txt'}: names no sequence")
    if bad := next((name for name in names if Path(name).name != name or name == ".."), None):
        raise InputError(f"{split / 'list.txt'}: {bad!r} is no name of a folder beside it")
    return names


def _got10k(labels: Path) -> Truth:
    boxes = read_numbers(labels / "groundtruth.txt", 4)
    cover_file = labels / "cover.label"
    if not cover_file.exists():
        raise InputError(f"{cover_file}: not there, though other sequences have one")
    cover = read_numbers(cover_file, 1)[:, 0]
    if len(cover) != len(boxes):
        raise InputError(f"{cover_file}: {len(cover)} lines for {len(boxes)} boxes")
    meta = _meta(labels / "meta_info.ini")
    return Truth(boxes, cover, _size(meta, labels), meta.get("object_class", ""))


def _otb(file: Path) -> Truth:
    boxes = read_numbers(file, 4)
    if not len(boxes):
        raise InputError(f"{file}: holds no box")
    return Truth(boxes, np.full(len(boxes), 8.0), None, "")


def _otb_name(file: Path) -> str:
    """Jogging/groundtruth_rect.2.txt is the sequence Jogging.2, as the toolkit names it."""
    return file.parent.name + file.stem.removeprefix(_OTB)


def _indexed(data: Path, split: str) -> GroundTruth:
    from stpn_data.readers import open_dataset
    from stpn_vot.targets import target_of

    index = open_dataset(data, split)
    found = {}
    for video in range(index.num_videos):
        target = target_of(index, video)
        width, height = index.sizes[target.frames[0]].tolist()
        found[target.name] = Truth(
            target.truth,
            np.where(target.visible, 8.0, 0.0),
            (width, height) if width and height else None,
            target.object_class,
        )
    layout: Layout = "lasot" if index.source.startswith("LaSOT") else "other"
    return GroundTruth(found, layout, index.source, visibility=True)


def _meta(path: Path) -> dict[str, str]:
    """Keys of meta_info.ini by name; a value may hold colons of its own (it is a URL there)."""
    pairs = (line.split(": ", 1) for line in read_text(path).splitlines() if ": " in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _size(meta: dict[str, str], folder: Path) -> tuple[int, int]:
    found = re.fullmatch(r"\((\d+), *(\d+)\)", meta.get("resolution", ""))
    if found is None:
        raise InputError(
            f"{folder / 'meta_info.ini'}: needs a line 'resolution: (WIDTH, HEIGHT)' to bound boxes"
        )
    return int(found[1]), int(found[2])
