"""What the metric compares: one object's masks over one video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stpn_vis.rle import Rle, area


@dataclass(frozen=True, eq=False)
class Track:
    """An object of a video, annotated or found.

    video, category: ids. masks: one per frame, None where it is absent; lists of unequal length are
    compared up to the shorter one. area: mean over the frames that show it, in pixels. score: of
    what was found. crowd: a group that several findings may match, none of which counts. occlusion:
    0 to 1, None where nothing is known of it.
    """

    video: int
    category: int
    masks: Sequence[Rle | None]
    area: float
    score: float = 1.0
    crowd: bool = False
    occlusion: float | None = None


@dataclass(frozen=True, eq=False)
class Truth:
    """Annotated tracks, with the videos and categories that the numbers are about."""

    tracks: tuple[Track, ...]
    videos: tuple[int, ...]
    categories: tuple[int, ...]


def mean_area(masks: Sequence[Rle | None]) -> float:
    """Mean area over the frames in which a track is visible; 0 if there is none."""
    areas = [pixels for mask in masks if mask is not None and (pixels := area(mask))]
    return sum(areas) / len(areas) if areas else 0.0


_OCCLUSION = {"no_occlusion": 0.0, "slight_occlusion": 0.25, "severe_occlusion": 0.75}


def occlusion_level(labels: Sequence[str | None]) -> float:
    """How occluded a track is, from OVIS's word for each frame: mean of its upper half."""
    levels = sorted((_OCCLUSION[label] for label in labels if label is not None), reverse=True)
    half = levels[: (len(levels) + 1) // 2]
    return sum(half) / len(half) if half else 0.0
