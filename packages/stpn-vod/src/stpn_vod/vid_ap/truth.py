"""What detections are held against: annotated boxes, and every tested frame, also the empty ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_data.index import VideoIndex
from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.motion import EVERY_SPEED, SPEEDS, SpeedGroup, has_tracks, motion_iou


@dataclass(frozen=True)
class VidTruth:
    """Annotations of F tested frames with n boxes.

    boxes: n rows in order of frames, and of annotation within a frame. frames (F,) int64: numbers of
    all tested frames, ascending. sizes (F, 2) width, height in pixels, 0 where unknown. motion (n,)
    motion IoU of each box; None if the data does not tell objects apart, then there are no speed
    groups.
    """

    boxes: FrameBoxes
    frames: NDArray[np.int64]
    sizes: NDArray[np.int32]
    motion: NDArray[np.float64] | None

    @property
    def speeds(self) -> tuple[SpeedGroup, ...]:
        """The groups that can be told: all objects first."""
        return (EVERY_SPEED,) if self.motion is None else (EVERY_SPEED, *SPEEDS)

    @property
    def positions(self) -> NDArray[np.int64]:
        """(n,) place of each box's frame in `frames`."""
        return np.searchsorted(self.frames, self.boxes.frames)

    def ignored(self, group: SpeedGroup) -> NDArray[np.bool_]:
        """(n,) boxes outside the group."""
        if self.motion is None:
            return np.zeros(len(self.boxes), np.bool_)
        return ~group.holds(self.motion)

    def share(self, group: SpeedGroup) -> float:
        """Share of the motion values that lie in the group.

        A frame without objects counts as one value 0.0: the published file holds an empty cell
        there, which every evaluator reads as a zero. So such frames count as fast.
        """
        if self.motion is None:
            return 1.0
        phantoms = np.zeros(len(self.frames) - len(np.unique(self.boxes.frames)))
        values = np.concatenate([self.motion, phantoms])
        return float(group.holds(values).sum() / len(values)) if len(values) else 1.0


def vid_truth(index: VideoIndex, frames: NDArray[np.int64] | None = None) -> VidTruth:
    """The annotations of the tested `frames` of `index`, ascending numbers; default all annotated.

    Motion is measured on all frames, whichever are tested; it is None unless every box has a track.
    Raises InputError for boxes that are not finite.
    """
    if frames is None:
        frames = np.flatnonzero(index.annotated)
    where = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    tested = np.isin(where, frames)
    truth = VidTruth(
        FrameBoxes(
            where[tested],
            index.boxes[tested].astype(np.float64),
            index.labels[tested].astype(np.int64),
            np.ones(int(tested.sum())),
        ),
        frames,
        index.sizes[frames],
        motion_iou(index)[tested] if has_tracks(index) else None,
    )
    check_rows(truth.boxes, truth.frames, len(index.classes), f"annotations of {index.source}")
    return truth


def check_rows(rows: FrameBoxes, frames: NDArray[np.int64], num_classes: int, what: str) -> None:
    """Raise InputError unless every row is finite, of a known class, and on a tested frame."""
    faults = {
        "is not finite": ~(np.isfinite(rows.boxes).all(1) & np.isfinite(rows.scores)),
        f"has a label outside 0..{num_classes - 1}": (rows.labels < 0)
        | (rows.labels >= num_classes),
        "lies on a frame that is not tested": ~np.isin(rows.frames, frames),
    }
    for fault, found in faults.items():
        if found.any():
            row = int(np.flatnonzero(found)[0])
            raise InputError(
                f"{what}: row {row}, frame {rows.frames[row]}, {fault}: "
                f"box {rows.boxes[row].tolist()}, label {rows.labels[row]}, "
                f"score {rows.scores[row]}"
            )
