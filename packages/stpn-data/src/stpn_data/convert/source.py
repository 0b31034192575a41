"""What is converted: videos of frames, and objects with a mask in some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stpn_data import rle


@dataclass
class SourceObject:
    """One object of a video; frames by place in the video."""

    category: str
    crowd: bool = False
    runs: dict[int, NDArray[np.int64]] = field(default_factory=dict)  # run lengths of its masks


@dataclass(frozen=True)
class SourceVideo:
    """A video of T frames, all of one size."""

    name: str
    paths: tuple[str, ...]  # (T,) image files, absolute
    size: tuple[int, int]  # width, height


@dataclass(frozen=True)
class Source:
    """A data set to convert. `objects` reads those of one video when it is its turn."""

    videos: list[SourceVideo]
    categories: dict[str, int]  # name -> id in the file
    objects: Callable[[int], list[SourceObject]]
    notes: list[str] = field(default_factory=list)

    def annotations(self) -> Iterator[dict[str, object]]:
        """Entries of `annotations`, numbered from 1."""
        number = 0
        for place, video in enumerate(self.videos):
            for source in self.objects(place):
                number += 1
                yield _entry(number, place + 1, video, source, self.categories)


def _entry(
    number: int, video_id: int, video: SourceVideo, source: SourceObject, ids: dict[str, int]
) -> dict[str, object]:
    width, height = video.size
    masks: list[object] = []
    boxes: list[object] = []
    areas: list[object] = []
    for t in range(len(video.paths)):
        runs = source.runs.get(t)
        around = None if runs is None else rle.bounds(runs, height)
        if runs is None or around is None:
            masks.append(None)
            boxes.append(None)
            areas.append(None)
            continue
        x1, y1, x2, y2 = around
        masks.append({"size": [height, width], "counts": rle.compress(runs).decode()})
        boxes.append([x1, y1, x2 - x1, y2 - y1])
        areas.append(rle.area(runs))
    return {
        "id": number,
        "video_id": video_id,
        "category_id": ids[source.category],
        "iscrowd": int(source.crowd),
        "width": width,
        "height": height,
        "segmentations": masks,
        "bboxes": boxes,
        "areas": areas,
    }
