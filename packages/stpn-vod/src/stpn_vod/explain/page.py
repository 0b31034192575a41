"""One HTML file that needs no other: what it holds, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from stpn_core.errors import StpnError
from stpn_core.runs import replace_file


@dataclass(frozen=True)
class Picture:
    """A data address and what it shows."""

    address: str
    caption: str


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


def write_page(path: Path, page: Page) -> None:
    """Write the page whole or not at all. Raises StpnError if it cannot be written."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stpn_vod.explain", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.jinja").render(page=page)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise StpnError(f"{path}: cannot be written: {error.strerror or error}") from error
