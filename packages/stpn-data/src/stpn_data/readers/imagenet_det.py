"""ImageNet DET images as videos of one frame, to train on beside ImageNet VID.

ILSVRC/{Data,Annotations}/DET/train/ILSVRC2013_train/<synset>/<image>.{JPEG,xml}
ILSVRC/{Data,Annotations}/DET/train/ILSVRC2014_train_000{0..6}/<image>.{JPEG,xml}
ILSVRC/{ImageSets/VID,Lists}/DET_train_30classes.txt
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stpn_data.classes import VID_NAMES, label_table
from stpn_data.defects import Defect, OnDefect, refuse
from stpn_data.errors import DataError
from stpn_data.index import Video, VideoIndex, build_index
from stpn_data.paths import list_files, walk_folders
from stpn_data.readers.finish import finish, relabel
from stpn_data.readers.imagenet import find_base, folder_pair, images_by_stem, read_one
from stpn_data.readers.lists import find_list, read_list
from stpn_data.readers.rows import BoxRows, NameTable
from stpn_data.readers.threads import reading


def read_imagenet_det(
    root: str | os.PathLike[str],
    split: str = "train",
    *,
    classes: Sequence[str] = VID_NAMES,
    on_defect: OnDefect = refuse,
    progress: bool = True,
) -> VideoIndex:
    """Read the images of DET_train_30classes.txt or, without it, every annotated image of the
    split.

    `root` as for `read_imagenet_vid`. An image that the list names twice counts once. Objects of
    other classes than `classes` (by default the 30 of ImageNet VID) are left out and counted in
    `notes`. Raises DataError at the first defect, or hands each to `on_defect` and goes on.
    """
    base = find_base(root, "DET")
    notes: list[str] = []
    images = _listed(base, split, notes, on_defect)
    if images is None:
        images = _on_disk(base, split)
    if not images:
        raise DataError(
            f"{base}: no images in Annotations/DET/{split}, no DET_{split}_30classes.txt"
        )

    folders: dict[str, list[str]] = {}
    for image in images:
        inside, _, stem = image.rpartition("/")
        folders.setdefault(inside, []).append(stem)
    names = NameTable()

    def read(item: tuple[str, list[str]], report: OnDefect) -> dict[str, Video]:
        try:
            return _read_folder(base, *item, names, report)
        except DataError as error:  # a path that leaves the root
            report(Defect("path", item[0], str(error).removeprefix(f"{item[0]}: ")))
            return {}

    found: dict[str, Video] = {}
    with reading(read, folders.items(), on_defect) as results:
        bar = tqdm(
            results,
            desc=f"indexing DET {split}",
            total=len(folders),
            unit="folder",
            disable=None if progress else True,
        )
        for part in bar:
            found |= part
    videos = [found[image] for image in images if image in found]
    index = build_index(base, classes, f"ImageNet DET {split} in {base}", videos, notes)
    index = relabel(index, names.names, label_table(classes))
    return finish(replace(index, keys=index.keys[index.annotated[index.keys]]))


def _read_folder(
    base: Path, inside: str, wanted: list[str], names: NameTable, on_defect: OnDefect
) -> dict[str, Video]:
    """A video for each of the stems `wanted` of one folder."""
    images_in, xml_in = folder_pair(base, "DET", inside, inside)
    images = images_by_stem(base, images_in, on_defect)
    xml = list_files(base, xml_in, (".xml",))
    videos = {}
    for stem in wanted:
        annotation = None
        if f"{stem}.xml" in xml:
            annotation = read_one(f"{xml_in}/{stem}.xml", on_defect)
        rows = BoxRows(names)
        if annotation is None:
            rows.add_frame()
        else:
            rows.add_frame(annotation.boxes, annotation.names, annotation.tracks, annotation.flags)
        videos[f"{inside}/{stem}"] = Video(
            name=f"{inside}/{stem}",
            folder=images_in,
            files=[images.get(stem, f"{stem}.JPEG")],
            sizes=np.array([annotation[:2] if annotation else (0, 0)], np.int32),
            annotated=np.array([annotation is not None]),
            present=np.array([stem in images]),
            keys=[0],
            **rows.columns(),
        )
    return videos


def _listed(base: Path, split: str, notes: list[str], on_defect: OnDefect) -> list[str] | None:
    path = find_list(base, f"DET_{split}_30classes")
    if path is None:
        return None
    lines = [line.path for line in read_list(path, 1, on_defect)]
    unique = list(dict.fromkeys(lines))
    if len(unique) < len(lines):
        notes.append(f"{len(lines) - len(unique)} repeated entries of {path.name} count once")
    return unique


def _on_disk(base: Path, split: str) -> list[str]:
    _, xml_in = folder_pair(base, "DET", split, str(base))

    def walk() -> Iterator[str]:
        for folder in walk_folders(base, xml_in, (".xml",)):
            inside = f"{split}/{folder}".rstrip("/")
            for name in sorted(list_files(base, f"{xml_in}/{folder}".rstrip("/"), (".xml",))):
                yield f"{inside}/{name[:-4]}"

    return list(walk())
