"""Writing one split of a data set in YouTube-VIS's layout: whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from stpn_data.convert.source import Source, SourceVideo
from stpn_data.errors import DataError
from stpn_data.paths import check_relative


def write_youtube_vis(
    source: Source, out: Path, split: str, *, copy: bool = False, progress: bool = True
) -> Path:
    """Write `out/<split>.json` and `out/<split>/JPEGImages/<video>/…`; returns the JSON file.

    Frames are hard links to the originals, or copies where that cannot be or with `copy`. Other
    splits in `out` are left alone. Raises DataError if this one is there already or cannot be
    written; nothing half-written stays.
    """
    check_relative(split, "--split")
    target, folder = out / f"{split}.json", out / split
    for path in (target, folder):
        if path.exists():
            raise DataError(f"{path}: exists already; remove it, or name another folder or --split")
    stage = out / f".{split}.partial"
    try:
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(parents=True)
        with open(stage / "videos.json", "w", encoding="utf-8", newline="\n") as file:
            _write_json(file, source, progress)
            file.flush()
            os.fsync(file.fileno())
        for video in source.videos:
            _place_frames(video, stage / "JPEGImages", copy)
        os.sync()  # one call for thousands of files
        folder.mkdir()
        (stage / "JPEGImages").rename(folder / "JPEGImages")
        (stage / "videos.json").rename(target)  # last: without it there is no data set
    except BaseException as error:
        if not target.exists():
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise DataError(f"{out}: writing failed, nothing was kept: {error}") from error
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target


def _write_json(file: TextIO, source: Source, progress: bool) -> None:
    """Videos, categories, then annotations one by one: they alone are large."""
    videos = [
        {
            "id": number,
            "width": video.size[0],
            "height": video.size[1],
            "length": len(video.paths),
            "file_names": [f"{video.name}/{os.path.basename(path)}" for path in video.paths],
        }
        for number, video in enumerate(source.videos, 1)
    ]
    categories = [
        {"id": number, "name": name, "supercategory": "object"}
        for name, number in sorted(source.categories.items(), key=lambda item: item[1])
    ]
    file.write('{"info": {"description": "converted by stpn data convert"},\n')
    for name, entries in (("videos", videos), ("categories", categories)):
        rows = ",\n".join(json.dumps(entry) for entry in entries)
        file.write(f'"{name}": [\n{rows}\n],\n')
    file.write('"annotations": [')
    bar = tqdm(
        source.annotations(),
        desc="converting",
        unit="object",
        disable=None if progress else True,
    )
    for number, entry in enumerate(bar):
        file.write(f"{',' if number else ''}\n{json.dumps(entry)}")
    file.write("\n]\n}\n")


def _place_frames(video: SourceVideo, images: Path, copy: bool) -> None:
    folder = images / check_relative(video.name, "video name")
    folder.mkdir(parents=True)
    for path in video.paths:
        new = folder / os.path.basename(path)
        try:
            if copy:
                raise OSError
            os.link(os.path.realpath(path), new)  # not the link that it may be
        except OSError:  # another file system, or none that links
            shutil.copyfile(path, new)
