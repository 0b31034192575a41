"""`stpn data convert IN OUT --to youtube_vis`: from arguments to a finished split."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from stpn_data.convert.coco import read_coco
from stpn_data.convert.mask_folder import find_folders, read_mask_folder
from stpn_data.convert.source import Source
from stpn_data.convert.write import write_youtube_vis
from stpn_data.errors import DataError

Form = Literal["auto", "coco", "masks"]
FORMS: tuple[Form, ...] = ("auto", "coco", "masks")


def main(argv: Sequence[str]) -> int:
    """Entry of `stpn data convert`. Returns the exit code; raises DataError for bad input."""
    given = _parser().parse_args(list(argv))
    source, file = convert(
        given.source,
        given.out,
        split=given.split,
        form=given.form,
        images=given.images,
        listed=given.list,
        category=given.category,
        copy=given.copy,
    )
    frames = sum(len(video.paths) for video in source.videos)
    print(f"{file}: {len(source.videos)} videos, {frames} frames")
    for note in source.notes:
        print(f"note: {note}")
    return 0


def convert(
    source: Path,
    out: Path,
    *,
    split: str = "train",
    form: Form = "auto",
    images: Path | None = None,
    listed: Path | None = None,
    category: str = "object",
    copy: bool = False,
    progress: bool = True,
) -> tuple[Source, Path]:
    """Write `source` as split `split` of a YouTube-VIS data set at `out`; returns what was read and
    the JSON file.

    source: a COCO-style .json file with masks and tracks (`form` "coco"), or a folder with JPEGImages/
        and Annotations/ (`form` "masks").
    images: folder that the file names of a .json file are relative to; by default its own, or the one
        above `annotations/`.
    listed: text file with the videos to take of a folder, one a line.
    category: of all objects of a folder without `meta.json`.

    Raises DataError that names the file and place of the first fault; nothing is written then.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if form == "auto":
        form = "coco" if source.is_file() else "masks"
    if form == "coco":
        top = source.parent.parent if source.parent.name == "annotations" else source.parent
        read = read_coco(source, images or top)
    elif not source.is_dir() or find_folders(source) is None:
        raise DataError(
            f"{source}: expected a COCO-style .json file, or a folder with JPEGImages/ and "
            "Annotations/ (or frames/ and masks/)"
        )
    else:
        read = read_mask_folder(source, listed, category)
    return read, write_youtube_vis(read, out, split, copy=copy, progress=progress)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stpn data convert",
        description="Write videos with masks in YouTube-VIS's layout.",
    )
    add = parser.add_argument
    add(
        "source",
        type=Path,
        metavar="IN",
        help="COCO-style .json with masks and track ids, or a folder with JPEGImages/ and "
        "Annotations/ (DAVIS, YouTube-VOS)",
    )
    add("out", type=Path, metavar="OUT", help="folder of the data set; other splits may lie there")
    add("--to", choices=("youtube_vis",), required=True, help="layout to write")
    add("--split", default="train", help="name of the split (%(default)s)")
    add("--from", dest="form", choices=FORMS, default="auto", help="form of IN, if not found")
    add("--images", type=Path, metavar="DIR", help="what file names in the .json are relative to")
    add("--list", type=Path, metavar="FILE", help="videos to take of a folder, one a line")
    add("--category", default="object", help="of all objects in a folder (%(default)s)")
    add("--copy", action="store_true", help="copy frames instead of linking them")
    return parser
