"""What the page of `stpn vot explain` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stpn_core.explain.page import Picture


@dataclass(frozen=True)
class FramePart:
    """One frame: the frame with its boxes and the search crop; its prompts, if it has any."""

    name: str
    frame: Picture
    crop: Picture
    looks: Picture | None = None
    mass: Picture | None = None


@dataclass(frozen=True)
class TemplatePart:
    """A template in use. when: from which frame it is, and on which it was looked at."""

    picture: Picture
    when: str


@dataclass(frozen=True)
class Page:
    """Everything the page says. A note stands where a section has nothing to show."""

    title: str
    settings: Mapping[str, str]
    time: Picture
    summary: str
    templates: Sequence[TemplatePart]
    templates_note: str
    frames: Sequence[FramePart]
    prompts_note: str
    shares: Picture | None = None
    mass_plot: Picture | None = None
    mass_note: str = ""
