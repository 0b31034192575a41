"""What an index says about the one target of each of its videos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.index import ABSENT, VideoIndex
from stpn_vot.box_geometry import Box
from stpn_vot.metrics.overlap import Array


@dataclass(frozen=True, eq=False)
class Target:
    """One target from the frame on where its box is given.

    name: of the video. frames: their numbers in the index, N of them. truth (N, 4): x, y, w, h in
    pixels of the file, NaN where none is stated. visible (N,): whether it is to be seen, so that
    the frame counts; False where there is no box. object_class: its class.
    """

    name: str
    frames: range
    truth: Array
    visible: NDArray[np.bool_]
    object_class: str

    @property
    def box(self) -> Box:
        """The given one."""
        x, y, w, h = self.truth[0].tolist()
        return (x, y, w, h)


def target_of(index: VideoIndex, video: int) -> Target:
    """The target of the first box of a video; boxes of other tracks are left out.

    Raises DataError for a video without a box, or with two of one track on a frame.
    """
    name, frames = index.video_names[video], index.frames_of(video)
    bounds = index.box_start[frames.start : frames.stop + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    if first == last:
        raise DataError(f"{index.source}: {name} has no box to start from")
    rows = np.arange(first, last)
    rows = rows[index.tracks[first:last] == index.tracks[first]]
    places = np.searchsorted(bounds, rows, "right") - 1
    if len(twice := places[1:][np.diff(places) == 0]):
        raise DataError(
            f"{index.source}: {name} has two boxes of one target on "
            f"{index.frame_name(frames[int(twice[0])])}; a track must have one"
        )
    start = int(places[0])
    truth = np.full((len(frames), 4), np.nan)
    corners = index.boxes[rows].astype(float)
    truth[places, :2], truth[places, 2:] = corners[:, :2], corners[:, 2:] - corners[:, :2]
    visible = np.zeros(len(frames), bool)
    visible[places] = (index.flags[rows] & ABSENT) == 0
    label = index.classes[int(index.labels[rows[0]])]
    return Target(name, frames[start:], truth[start:], visible[start:], label)
