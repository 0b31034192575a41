"""ImageNet DET images as videos of one frame, to train on beside ImageNet VID.

ILSVRC/{Data,Annotations}/DET/train/ILSVRC2013_train/<synset>/<image>.{JPEG,xml}
ILSVRC/{Data,Annotations}/DET/train/ILSVRC2014_train_000{0..6}/<image>.{JPEG,xml}
ILSVRC/{ImageSets/VID,Lists}/DET_train_30classes.txt
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
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
from stpn_data.readers.rows import BoxRows


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

    @cache
    def folder(name: str) -> tuple[str, dict[str, str], str, set[str]]:
        images_in, xml_in = folder_pair(base, "DET", name, name)
        xml = list_files(base, xml_in, (".xml",))
        return images_in, images_by_stem(base, images_in, on_defect), xml_in, xml

    names: dict[str, int] = {}
    videos = []
    bar = tqdm(
        images, desc=f"indexing DET {split}", unit="image", disable=None if progress else True
    )
    for image in bar:
        inside, _, stem = image.rpartition("/")
        try:
            images_in, stems, xml_in, xml = folder(inside)
        except DataError as error:  # a path that leaves the root
            on_defect(Defect("path", image, str(error)))
            continue
        annotation = None
        if f"{stem}.xml" in xml:
            annotation = read_one(f"{xml_in}/{stem}.xml", on_defect)
        rows = BoxRows(names)
        if annotation is None:
            rows.add_frame()
        else:
            rows.add_frame(annotation.boxes, annotation.names, annotation.tracks, annotation.flags)
        size = (annotation.width, annotation.height) if annotation else (0, 0)
        videos.append(
            Video(
                name=image,
                folder=images_in,
                files=[stems.get(stem, f"{stem}.JPEG")],
                sizes=np.array([size], np.int32),
                annotated=np.array([annotation is not None]),
                present=np.array([stem in stems]),
                keys=[0],
                **rows.columns(),
            )
        )
    index = build_index(base, classes, f"ImageNet DET {split} in {base}", videos, notes)
    found = list(names)
    index = relabel(index, found, label_table(classes))
    return finish(replace(index, keys=index.keys[index.annotated[index.keys]]))


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
