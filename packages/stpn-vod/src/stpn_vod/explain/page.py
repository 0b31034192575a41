"""What the page of `stpn vod explain` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stpn_core.explain.page import Picture


@dataclass(frozen=True)
class FramePart:
    """One frame: for each detector its pictures, and, if there are any, those of the prompts.

    broad: the frame is wider than high, so that fewer pictures fit beside each other.
    """

    name: str
    columns: Sequence[tuple[str, Sequence[Picture]]]
    broad: bool = False
    looks: Picture | None = None
    mass: Picture | None = None


@dataclass(frozen=True)
class HeatRow:
    """One speed group: share of the heat in annotated boxes for each detector, and the share of the
    frame that they cover, both from 0 to 1, mean over objects."""

    speed: str
    shares: Sequence[float]
    area: float


@dataclass(frozen=True)
class ObjectsPart:
    """The plot of all objects and their heat; the note says what is missing."""

    plot: Picture | None = None
    note: str = ""
    heat: Sequence[HeatRow] = ()


@dataclass(frozen=True)
class Page:
    """Everything the page says. A note stands where a section has nothing to show."""

    title: str
    settings: Mapping[str, str]
    frames: Sequence[FramePart]
    titles: Sequence[str]
    frames_note: str = ""
    objects: ObjectsPart = ObjectsPart()
    prompts_note: str = ""
    mass_plot: Picture | None = None
    mass_note: str = ""
