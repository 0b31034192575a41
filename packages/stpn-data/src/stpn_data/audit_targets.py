"""Defects of tracking sets that show only when sequences are looked at as a whole."""

from __future__ import annotations

import filecmp
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stpn_data.defects import Defect
from stpn_data.index import ABSENT, VideoIndex
from stpn_data.layouts import Layout
from stpn_data.readers.got10k_splits import SPLITS, split_of
from stpn_data.readers.trackingnet import chunks_of

TARGET_FORMATS = ("got10k", "lasot", "trackingnet", "coco_targets")


def audit_targets(
    layout: Layout, split: str, index: VideoIndex, *, progress: bool = True
) -> Iterator[Defect]:
    """Targets that cannot be started from or are never seen, test sequences with more than a first
    box, pictures repeated at the start, sequences on disk that the split does not hold.
    """
    if layout.format == "coco_targets":
        return  # single frames, chosen by their boxes
    bar = tqdm(
        range(index.num_videos),
        desc="comparing first frames",
        unit="sequence",
        disable=None if progress else True,
    )
    for video in bar:
        yield from _sequence(index, video, test=split == "test" and layout.format != "lasot")
    if layout.format == "got10k" and split in SPLITS:  # others are parts of train
        yield from _unlisted(split_of(layout.root, split), "groundtruth.txt", index)
    if layout.format == "trackingnet":
        for chunk in chunks_of(layout.root, split):
            yield from _unlisted(layout.root / chunk / "frames", "", index)


def _sequence(index: VideoIndex, video: int, *, test: bool) -> Iterator[Defect]:
    frames = index.frames_of(video)
    place = index.folders[video]
    rows = slice(int(index.box_start[frames.start]), int(index.box_start[frames.stop]))
    sides = index.boxes[rows, 2:] - index.boxes[rows, :2]
    seen = (index.flags[rows] & ABSENT == 0) & (sides > 0).all(axis=1)
    first = index.boxes_of(frames.start)
    if not seen.any():
        yield Defect("never visible", place, f"{len(seen)} boxes, in none is the target to be seen")
    elif not len(first.boxes) or not seen[0]:
        text = "the target is not to be seen in the first frame, which a tracker starts from"
        yield Defect("first frame", place, text)
    annotated = int(index.annotated[frames.start : frames.stop].sum())
    if test and annotated > 1:
        text = f"{annotated} boxes; a test sequence has that of the first frame alone"
        yield Defect("test rows", place, text)
    same = _repeated(index, frames)
    if same > 1:
        corners = np.array(
            [index.boxes_of(f).boxes[0] for f in frames[:same] if _has_box(index, f)]
        )
        moved = float(np.abs(np.diff(corners, axis=0)).max(initial=0)) if len(corners) else 0.0
        text = f"the first {same} frames are one picture, while the box moves by up to {moved:g} pixels"
        yield Defect("repeated frames", place, text)


def _has_box(index: VideoIndex, frame: int) -> bool:
    return bool(index.box_start[frame + 1] > index.box_start[frame])


def _repeated(index: VideoIndex, frames: range) -> int:
    """How many frames at the start have the same file content."""
    paths = []
    for frame in frames:
        if not index.present[frame]:
            break
        paths.append(index.frame_path(frame))
        if len(paths) > 1:
            try:
                if not filecmp.cmp(paths[-2], paths[-1], shallow=False):
                    return len(paths) - 1
            except OSError:  # named where images are looked at
                return len(paths) - 1
    return len(paths)


def _unlisted(folder: Path, holds: str, index: VideoIndex) -> Iterator[Defect]:
    """Folders on disk (with a file `holds` in them) that are no video of the index."""
    ours = set(index.video_names)
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name not in ours and path.is_dir() and (path / holds).exists():
            yield Defect("not listed", str(path), "a sequence on disk that the split does not hold")
