"""What every reader does last: settle the classes and the frames that training may start from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stpn_data.boxes import clean_boxes
from stpn_data.index import VideoIndex

MIN_SIDE = 32  # pixels; smaller frames are not trained on


def relabel(index: VideoIndex, names: Sequence[str], table: Mapping[str, int]) -> VideoIndex:
    """Replace labels that number `names` by those of `table`; boxes of other names are left out."""
    lookup = np.array([table.get(name, -1) for name in names] or [-1], np.int16)
    labels = lookup[index.labels]
    keep = labels >= 0
    if keep.all():
        return replace(index, labels=labels)
    left_out = sorted({names[i] for i in np.unique(index.labels[~keep])})
    note = (
        f"{int((~keep).sum())} boxes of {len(left_out)} other classes are left out "
        f"({', '.join(left_out[:5])}{' …' if len(left_out) > 5 else ''})"
    )
    kept_before = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
    return replace(
        index,
        labels=labels[keep],
        boxes=index.boxes[keep],
        tracks=index.tracks[keep],
        flags=index.flags[keep],
        box_start=kept_before[index.box_start],
        notes=(*index.notes, note),
    )


def finish(index: VideoIndex, *, require_boxes: bool = True) -> VideoIndex:
    """Keep as keys the frames that exist, hold a usable box (if `require_boxes`) and have sides of
    at least 32 pixels.

    What is left out, missing or will be clipped in training is counted in `notes`.
    """
    notes = list(index.notes)
    missing = np.flatnonzero(~index.present)
    if len(missing):
        notes.append(
            f"{len(missing)} of {index.num_frames} frames have no image file, first "
            f"{index.frame_name(int(missing[0]))}"
        )
    clean = clean_boxes(index.boxes, np.repeat(index.sizes, np.diff(index.box_start), axis=0))
    if clean.clipped or clean.dropped:
        notes.append(
            f"{clean.clipped} boxes reach out of their frame (clipped in training), "
            f"{clean.dropped} have no area inside (dropped in training)"
        )
    usable = usable_boxes_per_frame(index, clean.kept) > 0
    usable |= not require_boxes
    small = (index.sizes.min(axis=1, initial=MIN_SIDE) < MIN_SIDE) & (index.sizes.min(axis=1) > 0)
    good = index.present & usable & ~small
    keys = index.keys[good[index.keys]]
    if len(keys) < len(index.keys):
        bad = index.keys[~good[index.keys]]
        notes.append(
            f"{len(bad)} of {len(index.keys)} key frames are left out: {_count(~index.present[bad])} "
            f"without an image, {_count(~usable[bad])} without a usable box, "
            f"{_count(small[bad])} under {MIN_SIDE} pixels"
        )
    return replace(index, keys=keys, notes=tuple(notes))


def usable_boxes_per_frame(index: VideoIndex, kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the boxes `kept` each frame holds, (F,)."""
    mask = np.zeros(len(index.boxes) + 1, np.int64)
    mask[1 + kept] = 1
    before = np.cumsum(mask)
    return before[index.box_start[1:]] - before[index.box_start[:-1]]


def _count(mask: NDArray[np.bool_]) -> int:
    return int(mask.sum())
