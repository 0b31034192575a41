"""Indexes without files, from a few lines of boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stpn_data.index import Video, VideoIndex, build_index

Row = tuple[int, int, tuple[float, float, float, float], int]
"""frame, track, x1 y1 x2 y2, flags"""


def seen(frame: int, track: int = 0, flags: int = 0) -> Row:
    """A row with a box of 10 x 20 pixels that tells its frame."""
    return frame, track, (frame, track, frame + 10, track + 20), flags


def index_of(
    *videos: tuple[int, Sequence[Row]], unlooked: Sequence[int] = (), missing: Sequence[int] = ()
) -> VideoIndex:
    """Videos of so many frames with these rows. unlooked, missing: frames of the index that nobody
    annotated, and that have no file."""
    made, before = [], 0
    for number, (length, rows) in enumerate(videos):
        rows = sorted(rows, key=lambda row: row[0])
        frames = np.arange(before, before + length)
        made.append(
            Video(
                name=f"v{number}",
                folder=f"/nowhere/v{number}",
                files=[f"{t:04d}.jpg" for t in range(length)],
                annotated=~np.isin(frames, unlooked),
                present=~np.isin(frames, missing),
                box_counts=np.bincount([row[0] for row in rows], minlength=length).astype(np.int64),
                boxes=np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
                labels=np.array([row[1] % 3 for row in rows], np.int16),
                tracks=np.array([row[1] for row in rows], np.int32),
                flags=np.array([row[3] for row in rows], np.uint8),
            )
        )
        before += length
    return build_index(Path("/nowhere"), ("a", "b", "c"), "made up", made)
