"""Image files that stand for the frames of a video: a folder, or a pattern such as `walk/*.jpg`."""

from __future__ import annotations

import os
from glob import glob
from pathlib import Path

from stpn_data.errors import DataError
from stpn_data.paths import IMAGE_SUFFIXES, natural_key


def frame_files(path: str) -> tuple[str, list[str]] | None:
    """A name and the files in natural order; None if `path` is neither folder nor pattern.

    Raises DataError if there is no image.
    """
    if os.path.isdir(path):
        return Path(path).resolve().name, _images_in(path)
    if not os.path.exists(path) and any(mark in path for mark in "*?["):
        files = sorted((f for f in glob(path) if os.path.isfile(f)), key=natural_key)
        if not files:
            raise DataError(f"{path}: no file matches this pattern")
        return Path(path).parent.resolve().name, files
    return None


def _images_in(folder: str) -> list[str]:
    names = [
        entry.name
        for entry in os.scandir(folder)
        if entry.name.lower().endswith(IMAGE_SUFFIXES)
        and not entry.name.startswith(".")
        and entry.is_file()
    ]
    if not names:
        raise DataError(
            f"{folder}: holds no image file ({', '.join(IMAGE_SUFFIXES)}); "
            "give a folder of frames, a pattern or a video file"
        )
    return [os.path.join(folder, name) for name in sorted(names, key=natural_key)]
