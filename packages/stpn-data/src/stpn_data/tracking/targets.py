"""The targets of a data set: one object of one video, where it is and where it can be seen.

N targets have R boxes in all. A column is one numpy array; those of a target are contiguous and in
order of time, so ten thousand sequences take tens of megabytes and no Python objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError
from stpn_data.index import ABSENT, VideoIndex
from stpn_data.masks import CROWD
from stpn_data.tracking.crops import Box

_NO_TRACK = 1 << 32  # above any identity


@dataclass(frozen=True)
class TargetRule:
    """Which targets are used.

    min_frames: of the video. min_visible: frames in which the target can be seen; MixFormer takes
    more than twice as many as a clip has. A video of one frame needs neither, but a box wider and
    higher than min_still pixels.
    """

    min_frames: int = 20
    min_visible: int = 7
    min_still: float = 50.0


@dataclass(frozen=True, eq=False)
class Targets:
    """Targets of an index, those that a rule lets through. Made by `find_targets`.

    Target n has the boxes start[n] up to start[n + 1] of `frames`, `rows` and `visible`: every box
    with an area on a frame whose file is there.
    """

    index: VideoIndex
    video: NDArray[np.int64]  # (N,)
    track: NDArray[np.int64]  # (N,) identity within the video, -1 if none is given
    label: NDArray[np.int64]  # (N,) position in `index.classes`
    start: NDArray[np.int64]  # (N+1,)
    frames: NDArray[np.int32]  # (R,) frame of the index
    rows: NDArray[np.int32]  # (R,) row of `index.boxes`
    visible: NDArray[np.bool_]  # (R,) False: the box is stated, but nothing is to be seen there
    notes: tuple[str, ...]  # what was left out, counted

    def __len__(self) -> int:
        return len(self.video)

    def name(self, target: int) -> str:
        """The video, and the identity where there is one: `train/GOT-10k_Train_000001#0`."""
        video, track = self.index.video_names[self.video[target]], self.track[target]
        return f"{video}#{track}" if track >= 0 else video

    @property
    def visible_frames(self) -> NDArray[np.int64]:
        """(N,) frames in which each target can be seen."""
        before = np.concatenate([[0], np.cumsum(self.visible)])
        return before[self.start[1:]] - before[self.start[:-1]]

    @property
    def still(self) -> NDArray[np.bool_]:
        """(N,) targets whose video is one frame."""
        return np.diff(self.index.video_start)[self.video] == 1

    def times(self, target: int, *, absent: bool = False) -> NDArray[np.int64]:
        """(n,) frames with the target, counted from the start of its video, ascending.

        absent: also those with a box, but nothing to see.
        """
        rows = slice(int(self.start[target]), int(self.start[target + 1]))
        frames = self.frames[rows] if absent else self.frames[rows][self.visible[rows]]
        return frames.astype(np.int64) - self.first_frame(target)

    def times_without(self, target: int) -> NDArray[np.int64]:
        """(n,) frames that someone looked at and that do not show the target, as `times`."""
        index, first = self.index, self.first_frame(target)
        frames = slice(first, first + self.length(target))
        empty = index.annotated[frames] & index.present[frames]
        empty[self.times(target)] = False
        return np.flatnonzero(empty)

    def first_frame(self, target: int) -> int:
        """Frame of the index at time 0."""
        return int(self.index.video_start[self.video[target]])

    def length(self, target: int) -> int:
        """Frames of the target's video."""
        return int(self.index.video_start[self.video[target] + 1]) - self.first_frame(target)

    def box(self, target: int, time: int) -> Box:
        """Where the target is: x, y, w, h in pixels, as annotated. Raises KeyError if there is no
        box with an area."""
        low, high = int(self.start[target]), int(self.start[target + 1])
        frame = self.first_frame(target) + time
        place = low + int(np.searchsorted(self.frames[low:high], frame))
        if place == high or self.frames[place] != frame:
            raise KeyError(f"{self.name(target)} has no box with an area in frame {time}")
        x1, y1, x2, y2 = (float(side) for side in self.index.boxes[self.rows[place]])
        return (x1, y1, x2 - x1, y2 - y1)


def find_targets(index: VideoIndex, rule: TargetRule | None = None) -> Targets:
    """Targets of any index whose boxes have identities, and single boxes of its still images.

    Boxes around a crowd are no targets, nor are boxes without identity in a video. Raises DataError
    if no target is left.
    """
    rule = rule or TargetRule()
    lengths = np.diff(index.video_start)
    frame = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    video = np.repeat(np.arange(index.num_videos), lengths)[frame]
    x1, y1, x2, y2 = index.boxes.T
    with np.errstate(invalid="ignore"):
        area = (x2 > x1) & (y2 > y1) & np.isfinite(index.boxes).all(1)
    crowd = (index.flags & CROWD) > 0
    still = lengths[video] == 1
    unknown = (index.tracks < 0) & ~still & ~crowd
    rows = np.flatnonzero(area & index.present[frame] & ~crowd & ~unknown)
    # a box without identity in a still image is a target of its own
    identity = np.where(index.tracks < 0, _NO_TRACK + np.arange(len(frame)), index.tracks)[rows]
    order = np.lexsort((frame[rows], identity, video[rows]))
    rows, identity = rows[order], identity[order]
    same = (np.diff(video[rows]) == 0) & (np.diff(identity) == 0)
    twice = np.concatenate([[False], same & (np.diff(frame[rows]) == 0)])[: len(rows)]
    begins = np.concatenate([[True], ~same])[: len(rows)]
    rows, begins = rows[~twice], begins[~twice]
    visible = (index.flags[rows] & ABSENT) == 0
    start = np.flatnonzero(begins)
    stop = np.concatenate([start[1:], [len(rows)]]).astype(np.int64)
    seen = np.concatenate([[0], np.cumsum(visible)])
    seen = seen[stop] - seen[start]
    first = rows[start]
    of_still = still[first]
    wide = np.minimum(x2 - x1, y2 - y1)[first] > rule.min_still
    long = (lengths[video[first]] >= rule.min_frames) & (seen >= max(rule.min_visible, 1))
    good = np.where(of_still, wide & (seen > 0), long)
    counts = {
        "boxes without identity": int(unknown.sum()),
        "boxes of a crowd": int(crowd.sum()),
        "boxes of one target in one frame again": int(twice.sum()),
        f"targets visible in fewer than {rule.min_visible} frames or in videos of fewer than "
        f"{rule.min_frames}": int((~good & ~of_still).sum()),
        f"single boxes of {rule.min_still:g} pixels or less": int((~good & of_still).sum()),
    }
    notes = tuple(f"left out: {count} {what}" for what, count in counts.items() if count)
    if not good.any():
        raise DataError(f"{index.source}: no target to train a tracker on; " + "; ".join(notes))
    kept = np.repeat(good, stop - start)
    chosen = first[good]
    return Targets(
        index=index,
        video=video[chosen],
        track=index.tracks[chosen].astype(np.int64),
        label=index.labels[chosen].astype(np.int64),
        start=np.concatenate([[0], np.cumsum((stop - start)[good])]),
        frames=frame[rows[kept]].astype(np.int32),
        rows=rows[kept].astype(np.int32),
        visible=visible[kept],
        notes=notes,
    )
