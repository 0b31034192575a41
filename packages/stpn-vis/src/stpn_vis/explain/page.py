"""What the page of `stpn vis explain` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stpn_core.explain.page import Picture
from stpn_vis.explain.frames_part import FramePart


@dataclass(frozen=True)
class LinkPart:
    """How one arm linked its queries. strips: each object by itself; hardest may be missing."""

    title: str
    strips: Picture
    timeline: Picture
    hardest: Picture | None


@dataclass(frozen=True)
class Page:
    """Everything the page says. A note stands where a section has nothing to show."""

    title: str
    settings: Mapping[str, str]
    frames: Sequence[FramePart]
    links: Sequence[LinkPart]
    links_note: str = ""
    prompts_note: str = ""
    mass_plot: Picture | None = None
    mass_note: str = ""
