"""What ImageNet's VID and DET folders have in common: `Data/` and `Annotations/` side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stpn_data.classes import VID_NAMES, VID_WNIDS, label_table
from stpn_data.defects import Defect, OnDefect
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.paths import list_files, read_file, resolve_inside
from stpn_data.readers.finish import relabel
from stpn_data.xml import Annotation, read_annotation

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")


def find_base(root: str | os.PathLike[str], part: str) -> Path:
    """The folder that holds `Data/<part>` or `Annotations/<part>`: root, root/ILSVRC or ILSVRC2015.

    Raises DataError that lists what was looked for.
    """
    root = Path(root)
    for base in (root, root / "ILSVRC", root / "ILSVRC2015"):
        if (base / "Data" / part).is_dir() or (base / "Annotations" / part).is_dir():
            return base
    raise DataError(
        f"{root}: no ImageNet {part} here; looked for Data/{part} and Annotations/{part} in it, in "
        "ILSVRC/ and in ILSVRC2015/"
    )


def images_by_stem(root: Path, folder: str, on_defect: OnDefect) -> dict[str, str]:
    """File name of each image in `folder`, by its name without ending. Two of one stem: a
    defect.
    """
    result: dict[str, str] = {}
    for name in sorted(list_files(root, folder, IMAGE_SUFFIXES)):
        stem = name.rsplit(".", 1)[0]
        if stem in result:
            on_defect(Defect("frame", f"{folder}/{name}", f"the same frame as {result[stem]}"))
        else:
            result[stem] = name
    return result


def read_one(path: str, on_defect: OnDefect) -> Annotation | None:
    """The annotation in `path`, or None after a defect."""
    try:
        return read_annotation(path)
    except DataError as error:
        on_defect(Defect("annotation", path, str(error).removeprefix(f"{path}: ")))
        return None


def folder_pair(base: Path, part: str, name: str, where: str) -> tuple[str, str]:
    """Absolute folders of the images and of the annotations of `name` (both inside `base`)."""
    return (
        resolve_inside(base, f"Data/{part}/{name}".rstrip("/"), where),
        resolve_inside(base, f"Annotations/{part}/{name}".rstrip("/"), where),
    )


def settle_classes(
    index: VideoIndex,
    base: Path,
    names: Sequence[str],
    classes: Sequence[str] | None,
    all_names: Callable[[], Iterable[str]],
    on_defect: OnDefect,
) -> VideoIndex:
    """Labels for the class names found in XML, which `index` numbers as in `names`.

    `classes`, or else `classes.txt` beside Data/, decides; other names are defects. Otherwise the
    names are either all of ImageNet VID's WordNet ids, which gives its 30 classes, or all one's
    own, which gives their sorted list over all splits (`all_names`).
    """
    if classes is None and (base / "classes.txt").is_file():
        classes = read_classes(base / "classes.txt")
    if classes is not None:
        table = label_table(classes)
        for label, name in enumerate(names):
            if name not in table:
                place = _first_with(index, label, base)
                on_defect(_unknown(place, name, f"not among the {len(classes)} classes given"))
        return _with_classes(index, classes, names)
    ours = [name for name in names if name not in VID_WNIDS]
    if not ours:
        return _with_classes(index, VID_NAMES, names)
    found = sorted({*names, *all_names()})
    mixed = [name for name in found if name in VID_WNIDS]
    if mixed:
        others = ", ".join(name for name in found if name not in VID_WNIDS)
        text = f"used beside ImageNet VID's own; list all classes in {base / 'classes.txt'}"
        on_defect(_unknown(str(base), others[:200], text))
        return _with_classes(index, VID_NAMES, names)
    return _with_classes(index, found, names)


def read_classes(path: Path) -> tuple[str, ...]:
    """Class names, one per line. Raises DataError if there are none or one is named twice."""
    try:
        text = read_file(path, 1 << 20).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    classes = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not classes:
        raise DataError(f"{path}: names no class; write one per line")
    label_table(classes)
    return classes


def _with_classes(index: VideoIndex, classes: Sequence[str], names: Sequence[str]) -> VideoIndex:
    return relabel(replace(index, classes=tuple(classes)), names, label_table(classes))


def _first_with(index: VideoIndex, label: int, base: Path) -> str:
    """The first frame with a box of `label`, for a message."""
    box = int(np.argmax(index.labels == label))
    frame = int(np.searchsorted(index.box_start, box, side="right")) - 1
    return f"{base}: {index.frame_name(frame)}"


def _unknown(place: str, name: str, text: str) -> Defect:
    return Defect("class", place, f"class {name!r} in the annotations is {text}")
