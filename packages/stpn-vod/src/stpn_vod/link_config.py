"""Settings of tracks; light to import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkConfig:
    """How boxes of successive frames become tracks."""

    low: float = 0.1
    """Weaker boxes than the shown ones continue a track (and then are shown) from this score on; 1
    for none of them."""
    iou: float = 0.1
    """Least overlap of a box with the place where its track is expected."""
    low_iou: float = 0.5
    """The same for weak boxes."""
    patience: int = 30
    """A track that is missing in more frames than this has ended; its number is not used again."""
    same_class: bool = True
    """A track keeps its class: a box of another class does not continue it."""
    cuts: bool = True
    """A cut ends all tracks."""
