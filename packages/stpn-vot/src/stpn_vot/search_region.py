"""Where a tracker looks on the next frame: around the last box, or for a target that is lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stpn_data.crop_axes import Box
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True)
class SearchRegion:
    """A square `factor` times the root area of the box `around` wide. usual: as in training; what
    is seen at another scale is no support frame."""

    around: Box
    factor: float
    usual: bool


Place = Literal["last", "near", "anywhere"]
_TURNS: tuple[Place, ...] = ("last", "near", "anywhere")


def search_region(
    box: Box, good: Box, missed: int, config: TrackingConfig, height: int, width: int
) -> SearchRegion:
    """The region to search in a frame of `height` x `width` pixels.

    box: the last box. good: the last one that the tracker was sure of. missed: frames in a row
    without the target. A lost target is looked for in one place per frame, so that a frame costs
    the same: at `good`, around it, in the whole frame (where one that is small there is hard to
    see), and from the start again.
    """
    if not (config.redetect and missed >= config.patience):
        return SearchRegion(box, config.search_factor, True)
    place = _TURNS[(missed - config.patience) % len(_TURNS)]
    if place == "last":
        return SearchRegion(good, config.search_factor, True)
    if place == "near":
        return SearchRegion(good, config.search_factor * config.wide_factor, False)
    side = float(max(height, width))
    return SearchRegion(((width - side) / 2, (height - side) / 2, side, side), 1.0, False)
