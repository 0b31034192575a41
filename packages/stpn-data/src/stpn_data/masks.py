"""Instance masks of an index, in columns beside its boxes.

The index holds M boxes in V videos; each box has a mask. Masks stay compressed: 131,000 of them
take some tens of megabytes. What an evaluator needs beyond boxes (ids of the file, areas as
annotated, instances that are never visible) lies here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from stpn_data import rle
from stpn_data.errors import DataError

if TYPE_CHECKING:
    from stpn_data.index import VideoIndex

CROWD = 4  # further bits of `VideoIndex.flags`
OCCLUSION = 8  # two bits, a place in OCCLUSIONS
Occlusion = Literal["no_occlusion", "slight_occlusion", "severe_occlusion"]
OCCLUSIONS: tuple[Occlusion | None, ...] = (
    *(None, "no_occlusion", "slight_occlusion", "severe_occlusion"),
)


@dataclass(frozen=True, eq=False)
class Masks:
    """Masks of all boxes of an index, and the numbers its file goes by."""

    counts: NDArray[np.uint8]  # compressed run lengths (see `rle`) of all masks, joined
    start: NDArray[np.int64]  # (M+1,) those of box i lie at start[i] up to start[i+1]
    areas: NDArray[np.float64]  # (M,) pixels, as annotated
    video_ids: NDArray[np.int64]  # (V,)
    category_ids: NDArray[np.int64]  # (C,) of each class
    instances: NDArray[np.int64]  # (I,4) video, track, label, crowd; also those never visible

    def counts_of(self, box: int) -> bytes:
        """Compressed counts of the mask of `box`, in the form of pycocotools."""
        return self.counts[self.start[box] : self.start[box + 1]].tobytes()


@dataclass(frozen=True)
class Instance:
    """One annotated object of a video of T frames, at the size of the file."""

    id: int  # of the annotation in the file, 0 included
    label: int  # position in `classes`
    category_id: int  # of the file
    crowd: bool
    size: tuple[int, int]  # (h, w)
    counts: list[bytes | None]  # (T,) compressed RLE, None where it is not visible
    areas: list[float | None]  # (T,) as annotated
    occlusions: list[Occlusion | None]  # (T,) OVIS; None where not stated

    def segmentations(self) -> list[dict[str, object] | None]:
        """(T,) `{"size": [h, w], "counts": bytes}` or None, as pycocotools takes them."""
        size = list(self.size)
        return [None if c is None else {"size": size, "counts": c} for c in self.counts]


def masks_of(index: VideoIndex, frame: int) -> NDArray[np.uint8]:
    """Masks (n,H,W), 0 or 1, of the boxes of `frame` in the order of `boxes_of`, at the size of the
    file.

    Raises DataError if the data set has no masks.
    """
    masks = _masks(index)
    width, height = (int(side) for side in index.sizes[frame])
    rows = range(int(index.box_start[frame]), int(index.box_start[frame + 1]))
    result = np.zeros((len(rows), height, width), np.uint8)
    for place, row in enumerate(rows):
        try:
            result[place] = rle.decode(masks.counts_of(row), height, width)
        except DataError as error:
            raise DataError(f"{index.frame_name(frame)}, mask {place}: {error}") from error
    return result


def instances_of(index: VideoIndex, video: int) -> list[Instance]:
    """Annotated objects of `video` in the order of the file, for evaluation.

    Raises DataError if the data set has no masks.
    """
    masks = _masks(index)
    frames = index.frames_of(video)
    width, height = (int(side) for side in index.sizes[frames.start])
    found: dict[int, Instance] = {}
    for _, track, label, crowd in masks.instances[masks.instances[:, 0] == video].tolist():
        found[track] = Instance(
            id=track,
            label=label,
            category_id=int(masks.category_ids[label]),
            crowd=bool(crowd),
            size=(height, width),
            counts=[None] * len(frames),
            areas=[None] * len(frames),
            occlusions=[None] * len(frames),
        )
    for t, frame in enumerate(frames):
        for row in range(int(index.box_start[frame]), int(index.box_start[frame + 1])):
            instance = found[int(index.tracks[row])]
            instance.counts[t] = masks.counts_of(row)
            instance.areas[t] = float(masks.areas[row])
            instance.occlusions[t] = OCCLUSIONS[int(index.flags[row]) // OCCLUSION & 3]
    return list(found.values())


def join_masks(parts: Sequence[Masks], videos: Sequence[int]) -> Masks:
    """Masks of several indexes with so many `videos` each; classes are those of the first."""
    offsets = np.cumsum([0, *videos[:-1]])
    instances = [m.instances + np.array([n, 0, 0, 0]) for m, n in zip(parts, offsets, strict=True)]
    lengths = np.concatenate([np.diff(m.start) for m in parts])
    return Masks(
        counts=np.concatenate([m.counts for m in parts]),
        start=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        areas=np.concatenate([m.areas for m in parts]),
        video_ids=np.concatenate([m.video_ids for m in parts]),
        category_ids=parts[0].category_ids,
        instances=np.concatenate(instances),
    )


def pick_counts(
    masks: Masks, boxes: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`counts` and `start` of `boxes` alone, in their order."""
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.diff(masks.start)[boxes])])
    view = masks.counts.data
    pieces = zip(masks.start[:-1][boxes].tolist(), masks.start[1:][boxes].tolist(), strict=True)
    return np.frombuffer(b"".join(view[a:b] for a, b in pieces), np.uint8), start


MASK_FIELDS = tuple(field.name for field in fields(Masks))


def _masks(index: VideoIndex) -> Masks:
    if index.masks is None:
        raise DataError(f"{index.source}: has boxes alone, no instance masks")
    return index.masks
