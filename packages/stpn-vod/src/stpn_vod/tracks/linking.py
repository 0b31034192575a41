"""Linking: the boxes of one frame, and the tracks of the frames before, become numbered objects.

Boxes are matched with the places where tracks are expected, strong boxes first. What is left of the
tracks then looks among the weak boxes, which a blurred or half hidden object still gives: two-stage
association after Zhang et al., "ByteTrack" (ECCV 2022). Likeness of a pair is overlap x score. Needs
no torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_vod.link_config import LinkConfig
from stpn_vod.tracks.assign import assign, overlaps, require_lap
from stpn_vod.tracks.motion import Motion, advance, at_rest, correct, joined

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TrackState:
    """Everything known of the T tracks that have not ended; nothing in it changes in place.

    ids (T,) ascending; labels (T,) class numbers; missed (T,) frames since each was seen last.
    next_id: number of the next new track. Bounded: a frame starts at most as many tracks as it has
    boxes, and who is not seen again leaves after `config.patience` frames.
    """

    config: LinkConfig
    score: float
    ids: Numbers
    labels: Numbers
    missed: Numbers
    motion: Motion
    next_id: int = 1

    def __len__(self) -> int:
        return len(self.ids)


def start_tracks(config: LinkConfig | None = None, score: float = 0.5) -> TrackState:
    """The state before the first frame. score: only boxes above it start a track.

    Raises InputError if the package lap is not installed.
    """
    require_lap()
    empty = np.zeros(0, np.int64)
    return TrackState(config or LinkConfig(), score, empty, empty, empty, at_rest(np.zeros((0, 4))))


def link_boxes(
    state: TrackState,
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    new_shot: bool = False,
) -> tuple[Numbers, TrackState]:
    """Track numbers of the objects of the next frame, and the state after it.

    boxes (n, 4) x1, y1, x2, y2 of any score, in pixels that mean the same on every frame; scores
    (n,); labels (n,) class numbers. new_shot: the camera cut before this frame.

    Returns ids (n,) int64, from 1, -1 for boxes that belong to no track; every box whose score is
    greater than `state.score` has one. The order of the boxes does not matter. Raises InputError if
    a box or score is not finite.
    """
    config = state.config
    if new_shot and config.cuts:
        state = _only(state, np.zeros(len(state), bool))
    boxes, scores, labels, order = _in_order(boxes, scores, labels)
    motion = advance(state.motion, state.missed > 0)
    overlap = overlaps(motion.corners(), boxes)
    same = state.labels[:, None] == labels if config.same_class else np.ones(overlap.shape, bool)
    strong = scores > state.score
    weak = ~strong & (scores >= config.low)

    track_of = np.full(len(boxes), -1)
    free = np.ones(len(state), bool)
    for able, least, seen_within in (
        (strong, config.iou, config.patience),
        (weak, config.low_iou, 0),  # a weak box is no proof that a lost object is back
    ):
        open_ = (free & (state.missed <= seen_within))[:, None] & able
        rows, columns = assign(overlap * scores, open_ & same & (overlap >= least))
        track_of[columns] = rows
        free[rows] = False

    seen = np.flatnonzero(track_of >= 0)
    motion = correct(motion, track_of[seen], boxes[seen])
    labels_now = state.labels.copy()
    labels_now[track_of[seen]] = labels[seen]
    kept = replace(
        state, labels=labels_now, missed=np.where(free, state.missed + 1, 0), motion=motion
    )
    new = np.flatnonzero(strong & (track_of < 0))
    born = np.arange(state.next_id, state.next_id + len(new))

    ids = np.full(len(boxes), -1)
    ids[seen] = state.ids[track_of[seen]]
    ids[new] = born
    unsorted = np.empty_like(ids)
    unsorted[order] = ids
    kept = _only(kept, kept.missed <= config.patience)
    return unsorted, replace(
        kept,
        ids=np.concatenate([kept.ids, born]),
        labels=np.concatenate([kept.labels, labels[new]]),
        missed=np.concatenate([kept.missed, np.zeros(len(new), np.int64)]),
        motion=joined(kept.motion, at_rest(boxes[new])),
        next_id=state.next_id + len(new),
    )


def _only(state: TrackState, which: NDArray[np.bool_]) -> TrackState:
    return replace(
        state,
        ids=state.ids[which],
        labels=state.labels[which],
        missed=state.missed[which],
        motion=state.motion.take(which),
    )


def _in_order(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], labels: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Numbers, Numbers]:
    """Boxes, scores and labels, best first, in an order that depends on nothing but themselves; and
    the place of each in what was given."""
    wide, sure = boxes.astype(np.float64).reshape(-1, 4), scores.astype(np.float64)
    finite = np.isfinite(wide).all(1) & np.isfinite(sure)
    if not finite.all():
        bad = int(np.argmin(finite))
        raise InputError(
            f"box {bad} cannot be linked: {wide[bad].tolist()} with score {sure[bad]} is not "
            "finite; leave such boxes out"
        )
    order = np.lexsort((*wide.T, labels, -sure))
    return wide[order], sure[order], labels[order].astype(np.int64), order
