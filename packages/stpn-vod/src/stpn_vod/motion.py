"""Motion IoU: how much a tracked object overlaps itself in neighbouring frames, and the speed groups.

The number behind "slow / medium / fast" in video object detection. Its definition was given by the
authors of FGFA (Flow-Guided-Feature-Aggregation, issue 4): the mean IoU of an object's box with the
same object's boxes up to ten frames before and after. No generator of the published file exists; the
constants below are read off its values (1e-10 / n where nothing overlaps, exactly 1 at most).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_data.index import VideoIndex
from stpn_vod.pixel_iou import pixel_iou

REACH = 10  # frames to each side
_EPSILON = 1e-10  # makes 0 / 0 one: a box without neighbours does not move


@dataclass(frozen=True)
class SpeedGroup:
    """Objects with low <= motion IoU <= high: both ends belong to it."""

    name: str
    low: float
    high: float

    def holds(self, motion: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values are in the group, in the shape of `motion`."""
        return (motion >= self.low) & (motion <= self.high)


EVERY_SPEED = SpeedGroup("all", 0.0, 1.0)
SPEEDS = (
    SpeedGroup("slow", 0.9, 1.0),
    SpeedGroup("medium", 0.7, 0.9),
    SpeedGroup("fast", 0.0, 0.7),
)


def has_tracks(index: VideoIndex) -> bool:
    """Whether every annotated box says which object it shows (true of data without boxes)."""
    return bool((index.tracks >= 0).all())


def motion_iou(index: VideoIndex, reach: int = REACH) -> NDArray[np.float64]:
    """(M,) motion IoU of every box of `index`, in its order.

    For the box of a track in frame t: (sum + 1e-10) / (n + 1e-10) over the n boxes of the same track
    and video in frames t - reach … t + reach without t, of their IoU with corner pixels counted
    (+1). A box without such neighbours gets exactly 1: slow. Boxes are taken as annotated, not
    clipped. Raises InputError if a box has no track.
    """
    frames = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    if not has_tracks(index):
        row = int(np.flatnonzero(index.tracks < 0)[0])
        raise InputError(
            f"{index.source}: a box of frame {index.frame_name(int(frames[row]))} has no track, so "
            "motion IoU is not defined; annotate which object every box shows"
        )
    videos = np.repeat(np.arange(index.num_videos), np.diff(index.video_start))[frames]
    order = np.lexsort((frames, index.tracks, videos))
    frames, videos, tracks = frames[order], videos[order], index.tracks[order]
    boxes = index.boxes[order].astype(np.float64)
    changes = (videos[1:] != videos[:-1]) | (tracks[1:] != tracks[:-1])
    objects = np.concatenate([np.zeros(1, np.int64), np.cumsum(changes)])[: len(frames)]

    total, count = np.zeros(len(frames)), np.zeros(len(frames))
    # Boxes of an object lie together in order of time: compare each with the next, the one after
    # that, and so on until none is within reach.
    for step in range(1, len(frames)):
        distance = frames[step:] - frames[:-step]
        near = (objects[step:] == objects[:-step]) & (distance <= reach)
        if not near.any():
            break
        early = np.flatnonzero(near & (distance > 0))
        late = early + step
        overlap = pixel_iou(boxes[early], boxes[late])
        for side in (early, late):  # no row occurs twice in either
            total[side] += overlap
            count[side] += 1
    motion = np.empty(len(frames))
    motion[order] = (total + _EPSILON) / (count + _EPSILON)
    return motion
