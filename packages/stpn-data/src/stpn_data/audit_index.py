"""Defects that show in an index and in the image files it names."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from tqdm import tqdm

from stpn_data.boxes import clean_boxes
from stpn_data.defects import Defect
from stpn_data.errors import DataError
from stpn_data.frame_cache import damaged_video
from stpn_data.image_header import image_size
from stpn_data.index import ABSENT, VideoIndex

_NUMBER = re.compile(r"(\d{1,18})\D*$", re.ASCII)


def audit_index(
    index: VideoIndex, *, annotate_all: bool = False, gaps: bool = True
) -> Iterator[Defect]:
    """Missing frames, gaps, damaged videos, boxes outside or without area, one track twice in a
    frame.

    `annotate_all`: the layout promises an annotation for every frame, so one without is a defect
    too. `gaps`: a number left out between two frames is one; False where an annotation file says
    which frames there are.
    """
    for frame in np.flatnonzero(~index.present):
        yield Defect("missing frame", str(index.frame_path(int(frame))), "no such image")
    if annotate_all:
        for frame in np.flatnonzero(index.present & ~index.annotated):
            path = str(index.frame_path(int(frame)))
            yield Defect("missing annotation", path, "an image without annotation")
    for video in range(index.num_videos):
        if gaps:
            yield from _gaps(index, video)
        if source := damaged_video(index.folders[video]):
            yield Defect("damaged video", source, "ends early, or part of it cannot be decoded")
    yield from _boxes(index)
    yield from _tracks(index)


def audit_images(index: VideoIndex, *, decode: bool, progress: bool = True) -> Iterator[Defect]:
    """Images that cannot be read or differ in size from what is annotated; `decode` reads them
    whole.
    """
    frames = np.flatnonzero(index.present)

    def look(frame: np.int64) -> Defect | None:
        path = str(index.frame_path(int(frame)))
        try:
            size = _decoded_size(path) if decode else image_size(path)
        except DataError as error:
            return Defect("unreadable image", path, str(error).removeprefix(f"{path}: "))
        stated = tuple(index.sizes[frame].tolist())
        if all(stated) and stated != size:
            text = f"the image is {size[0]}×{size[1]}, its annotation says {stated[0]}×{stated[1]}"
            return Defect("size", path, text)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bar = tqdm(
            pool.map(look, frames, chunksize=64) if not decode else pool.map(look, frames),
            desc="decoding images" if decode else "reading image headers",
            total=len(frames),
            unit="image",
            disable=None if progress else True,
        )
        yield from (defect for defect in bar if defect)


def _decoded_size(path: str) -> tuple[int, int]:
    from stpn_data.image import decode_image

    _, height, width = decode_image(path).shape
    return width, height


def _gaps(index: VideoIndex, video: int) -> Iterator[Defect]:
    frames = index.frames_of(video)
    if len(frames) < 2:
        return
    found = [_NUMBER.search(index.file_name(frame).rsplit(".", 1)[0]) for frame in frames]
    numbers = [int(match[1]) for match in found if match]
    if len(numbers) < len(frames):
        return  # names without numbers say nothing about gaps
    steps = [after - before for before, after in pairwise(numbers)]
    usual = Counter(steps).most_common(1)[0][0]  # some videos keep every tenth frame
    for before, after in pairwise(numbers):
        if after - before != usual:
            text = f"frame {after} follows frame {before}"
            yield Defect("gap", f"{index.folders[video]} ({index.video_names[video]})", text)


def _boxes(index: VideoIndex) -> Iterator[Defect]:
    owner = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    sizes = index.sizes[owner]
    kept = clean_boxes(index.boxes, sizes).kept
    usable = np.zeros(len(index.boxes), bool)
    usable[kept] = True
    limit = np.where(sizes > 0, sizes, np.iinfo(np.int32).max)
    outside = (index.boxes < 0).any(axis=1) | (index.boxes[:, 2:] > limit).any(axis=1)
    shown = index.flags & ABSENT == 0  # where there is nothing to see, the box is a guess
    for i in np.flatnonzero((~usable | outside) & shown):
        frame = int(owner[i])
        sides = ", ".join(f"{side:g}" for side in index.boxes[i])
        place = f"{index.frame_path(frame)} box {i - index.box_start[frame]}"
        if usable[i]:
            width, height = sizes[i]
            yield Defect("box outside", place, f"({sides}) in a frame of {width}×{height}")
        else:
            yield Defect("box without area", place, f"({sides})")


def _tracks(index: VideoIndex) -> Iterator[Defect]:
    owner = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    known = index.tracks >= 0
    pairs, counts = np.unique(
        np.stack([owner[known], index.tracks[known]], axis=1), axis=0, return_counts=True
    )
    for (frame, track), count in zip(pairs[counts > 1], counts[counts > 1], strict=True):
        text = f"track {track} has {count} boxes in this frame"
        yield Defect("track twice", str(index.frame_path(int(frame))), text)
