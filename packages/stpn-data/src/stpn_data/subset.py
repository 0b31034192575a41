"""Some of the videos, or of the objects, of an index, as an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stpn_data.index import VideoIndex
from stpn_data.masks import CROWD, Masks, pick_counts


def select_videos(index: VideoIndex, videos: Sequence[int] | NDArray[np.int64]) -> VideoIndex:
    """The index of `videos` (numbers, each once) in the order given; classes stay as they are."""
    chosen = np.asarray(videos, np.int64)
    frames = _spans(index.video_start, chosen)
    boxes = _spans(index.box_start, frames)
    place = np.full(index.num_frames, -1, np.int64)  # of each old frame in the new index
    place[frames] = np.arange(len(frames))
    keys = place[index.keys]
    return replace(
        index,
        video_names=tuple(index.video_names[v] for v in chosen),
        folders=tuple(index.folders[v] for v in chosen),
        video_start=_starts(index.video_start, chosen),
        name_bytes=index.name_bytes[_spans(index.name_start, frames)],
        name_start=_starts(index.name_start, frames),
        sizes=index.sizes[frames],
        annotated=index.annotated[frames],
        present=index.present[frames],
        box_start=_starts(index.box_start, frames),
        boxes=index.boxes[boxes],
        labels=index.labels[boxes],
        tracks=index.tracks[boxes],
        flags=index.flags[boxes],
        keys=keys[keys >= 0],
        masks=None if index.masks is None else _select_masks(index.masks, chosen, boxes),
    )


def without_crowds(index: VideoIndex) -> VideoIndex:
    """The index without objects that stand for a group (`iscrowd`): one query cannot answer for
    them, so segmenters are not trained on them (Mask2Former's and MinVIS's data mappers).

    Frames, key frames and videos stay; a frame of crowds alone is one without objects.
    """
    kept = np.flatnonzero(index.flags & CROWD == 0)
    if len(kept) == len(index.flags):
        return index
    masks = index.masks
    if masks is not None:
        counts, start = pick_counts(masks, kept)
        instances = masks.instances[masks.instances[:, 3] == 0]
        masks = replace(
            masks, counts=counts, start=start, areas=masks.areas[kept], instances=instances
        )
    return replace(
        index,
        box_start=np.searchsorted(kept, index.box_start).astype(np.int64),
        boxes=index.boxes[kept],
        labels=index.labels[kept],
        tracks=index.tracks[kept],
        flags=index.flags[kept],
        masks=masks,
    )


def _select_masks(masks: Masks, videos: NDArray[np.int64], boxes: NDArray[np.int64]) -> Masks:
    counts, start = pick_counts(masks, boxes)
    place = np.full(len(masks.video_ids), -1, np.int64)
    place[videos] = np.arange(len(videos))
    instances = masks.instances.copy()
    instances[:, 0] = place[instances[:, 0]]
    return replace(
        masks,
        counts=counts,
        start=start,
        areas=masks.areas[boxes],
        video_ids=masks.video_ids[videos],
        instances=instances[instances[:, 0] >= 0],
    )


def _spans(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions start[r] up to start[r+1] of each of `rows`, joined."""
    offsets = _starts(starts, rows)
    return np.arange(offsets[-1]) + np.repeat(starts[rows] - offsets[:-1], np.diff(offsets))


def _starts(starts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    lengths = starts[rows + 1] - starts[rows]
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
