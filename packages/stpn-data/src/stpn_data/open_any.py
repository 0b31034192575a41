"""What is explained: a data set, or a bare video as a data set of one video without boxes; and which
of its frames.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from glob import glob
from pathlib import Path

import numpy as np

from stpn_data.datasets import open_dataset
from stpn_data.errors import DataError
from stpn_data.frame_cache import store_frames
from stpn_data.index import Video, VideoIndex, build_index
from stpn_data.layouts import Format
from stpn_data.paths import IMAGE_SUFFIXES, VIDEO_SUFFIXES, natural_key


def open_source(source: str, split: str, format: Format = "auto") -> VideoIndex:
    """A video file (decoded into the cache once), a pattern such as 'walk/*.jpg', or what
    `open_dataset` takes. Raises DataError if it cannot be read."""
    path = Path(source).expanduser()
    if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
        stored = store_frames(path)
        files = [f"{i:06d}.jpg" for i in range(len(stored.sizes))]
        return _bare(path.parent, path.stem, stored.folder, files)
    if not path.exists() and any(mark in source for mark in "*?["):
        found = [Path(name) for name in glob(source) if name.lower().endswith(IMAGE_SUFFIXES)]
        folders = {file.parent.resolve() for file in found}
        if len(folders) != 1:
            many = f"files in {len(folders)} folders; give frames of one video" if folders else ""
            raise DataError(f"{source}: {many or 'no image matches this pattern'}")
        folder = folders.pop()
        names = sorted((file.name for file in found), key=natural_key)
        return _bare(folder, folder.name, str(folder), names)
    return open_dataset(path, split, format=format)


def _bare(root: Path, name: str, folder: str, files: Sequence[str]) -> VideoIndex:
    if not files:
        raise DataError(f"{root / name}: no frame could be read")
    nobody = np.zeros(len(files), np.bool_)
    return build_index(root, (), str(root / name), [Video(name, folder, files, annotated=nobody)])


def choose_frames(index: VideoIndex, count: int, seed: int) -> list[int]:
    """Up to `count` frames, in order, chosen by chance and never by what a detector finds there.

    Where there are boxes: one frame with a box from each of some videos (or more, if there are
    fewer videos). Otherwise frames spread over the whole, `seed` playing no part.
    """
    boxes = np.diff(index.box_start)
    shown = np.flatnonzero(index.present & (boxes > 0))
    if not len(shown):
        there = np.flatnonzero(index.present)
        places = (np.arange(count) + 0.5) * len(there) / count
        return sorted({int(there[int(i)]) for i in places}) if len(there) else []
    rng = np.random.default_rng(seed)
    videos = np.searchsorted(index.video_start, shown, side="right") - 1
    rounds = [
        rng.permutation(shown[videos == video]) for video in rng.permutation(np.unique(videos))
    ]
    longest = max(map(len, rounds))
    turns = [int(frames[i]) for i in range(longest) for frames in rounds if i < len(frames)]
    return sorted(turns[:count])


def find_frames(index: VideoIndex, names: Sequence[str]) -> list[int]:
    """Frames by name (`video/file` without its ending, as `stpn data` writes them), or by number
    where there is one video. Raises DataError with the nearest names if there is none."""
    table = {index.frame_name(i): i for i in range(index.num_frames)}
    if index.num_videos == 1:
        table |= {str(i): i for i in range(index.num_frames)}
    for name in names:
        if name not in table:
            near = difflib.get_close_matches(name, table, 2) or [index.frame_name(0)]
            raise DataError(
                f"--pick {name}: no such frame in {index.source}; there is {' and '.join(near)}"
            )
        if not index.present[table[name]]:
            raise DataError(f"--pick {name}: its image file is missing")
    return [table[name] for name in names]
