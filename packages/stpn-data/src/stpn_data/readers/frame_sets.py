"""Frames of one's own videos: a folder of images, or a video file with its frames stored as
images.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_data.frame_cache import store_frames
from stpn_data.paths import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    list_files,
    natural_key,
    resolve_inside,
    walk_files,
    walk_folders,
)

_LAST_NUMBER = re.compile(r"(\d{1,18})\D*$", re.ASCII)


@dataclass(frozen=True)
class FrameSet:
    """Frames in order of time; `present` is False for those that only an annotation names."""

    folder: str  # absolute
    files: tuple[str, ...]
    present: NDArray[np.bool_]  # (n,)
    sizes: NDArray[np.int32]  # (n,2) width, height; 0 not known

    def position(self, frame: str) -> int | None:
        """Where `frame` is: a file name, that without ending, or the last number in the name."""
        by_name, by_number = self._tables
        return by_name.get(frame, by_number.get(int(frame)) if _is_number(frame) else None)

    def with_missing(self, frames: Iterable[str]) -> FrameSet:
        """The same with a place for each of `frames` that has no file, in natural order."""
        absent = {_name_like(self.files, f) for f in frames if self.position(f) is None}
        if not absent:
            return self
        files = tuple(sorted({*self.files, *absent}, key=natural_key))
        old = np.array([name not in absent for name in files])
        sizes = np.zeros((len(files), 2), np.int32)
        sizes[old] = self.sizes
        return FrameSet(self.folder, files, old, sizes)

    @cached_property
    def _tables(self) -> tuple[dict[str, int], dict[int, int]]:
        by_name: dict[str, int] = {}
        by_number: dict[int, int] = {}
        twice = set()
        for i, file in enumerate(self.files):
            stem = Path(file).stem
            by_name[file] = i
            by_name.setdefault(stem, i)
            if number := _LAST_NUMBER.search(stem):
                value = int(number[1])
                twice.update({value} & by_number.keys())
                by_number[value] = i
        return by_name, {number: i for number, i in by_number.items() if number not in twice}


def find_videos(root: Path, folder: Path) -> list[str]:
    """Folders with images and video files at or below `folder`, relative to it, in natural order.

    "" stands for images in `folder` itself. Raises DataError for links that leave `root`.
    """
    folders = walk_folders(root, str(folder), IMAGE_SUFFIXES)
    return sorted([*folders, *walk_files(root, str(folder), VIDEO_SUFFIXES)], key=natural_key)


def read_frame_set(root: Path, name: str, where: str, *, progress: bool = True) -> FrameSet:
    """Frames of `name` (relative to `root`), a folder or a video file; none if it does not exist.

    A video file is decoded into the cache the first time. Raises DataError for paths that leave the
    root and videos that cannot be read.
    """
    path = resolve_inside(root, name, where) if name else os.path.realpath(root)
    if os.path.isfile(path) and name.lower().endswith(VIDEO_SUFFIXES):
        stored = store_frames(path, progress=progress)
        files = tuple(f"{i:06d}.jpg" for i in range(len(stored.sizes)))
        sizes = np.array(stored.sizes, np.int32).reshape(-1, 2)
        return FrameSet(stored.folder, files, np.ones(len(files), bool), sizes)
    files = tuple(sorted(list_files(root, path, IMAGE_SUFFIXES), key=natural_key))
    return FrameSet(path, files, np.ones(len(files), bool), np.zeros((len(files), 2), np.int32))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


def _name_like(files: tuple[str, ...], frame: str) -> str:
    """A file name for a frame that has none, in the manner of the others."""
    if not _is_number(frame):
        return frame
    first = files[0] if files else "000000.jpg"
    stem, suffix = os.path.splitext(first)
    number = _LAST_NUMBER.search(stem)
    if number is None:
        return f"{frame}{suffix}"
    return f"{stem[: number.start()]}{int(frame):0{len(number[1])}d}{suffix}"
