"""What an export says about itself: `model.json` in its folder. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from stpn_core.command import read_text
from stpn_core.errors import InputError
from stpn_core.settings import STRICT, from_json

MANIFEST = "model.json"
ANY = (0, 0)
"""Height and width of graphs that take any, in multiples of what frames are padded to."""
LEAST = 3
"""Of these multiples: exporters take a dimension of 1 for one that is stretched, and the coarsest
level of a pyramid is half as large as the last map."""


@dataclass(frozen=True)
class Graphs:
    """The files of one size, by what they do; see `ExportedEncoder`."""

    __pydantic_config__ = STRICT

    height: int
    """Of the padded frames, in pixels; so is width. Both are 0 for graphs that take any."""
    width: int
    plain: str
    """Encoder without prompts: image -> maps, and the tokens of a support frame."""
    head: str
    """Maps -> what the task wants to know."""
    encoder: str = ""
    """Encoder with prompts: image and prompts -> maps; empty without a predictor."""
    predictor: str = ""
    """Support tokens and which are valid -> prompts; empty without a predictor."""

    def files(self) -> tuple[str, ...]:
        """The names that are there."""
        return tuple(n for n in (self.plain, self.head, self.encoder, self.predictor) if n)


def at_size(graphs: Graphs, size: tuple[int, int], pad_to: int) -> Graphs:
    """Graphs that take any size, for frames of padded size (h, w)."""
    height, width = (max(side, LEAST * pad_to) for side in size)
    return replace(graphs, height=height, width=width)


@dataclass(frozen=True)
class Check:
    """How far a graph was from torch when it was exported."""

    __pydantic_config__ = STRICT

    graph: str
    size: str
    frames: str
    """What it was compared on: random or real."""
    largest: float
    """Largest difference: of maps, tokens and prompts in units of their largest value; of a head as
    the task measures it."""
    compared: int = 0
    alone: int = 0
    """What was compared one by one, such as detections or pixels of masks, and those among them
    that only one side has."""


class EncoderManifest(Protocol):
    """What running an exported encoder takes from a task's manifest."""

    @property
    def mean(self) -> tuple[float, float, float]:
        """Subtracted from uint8 RGB levels; then `std` divides."""

    @property
    def std(self) -> tuple[float, float, float]: ...
    @property
    def pad_to(self) -> int:
        """Frames are zero-padded to multiples of this many pixels."""

    @property
    def graphs(self) -> tuple[Graphs, ...]:
        """By size, smallest first."""


M = TypeVar("M")


def is_exported(path: str | Path) -> bool:
    """Whether `path` is a folder that an export was written to."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(folder: str | Path, kind: type[M], version: int, command: str) -> M:
    """The manifest of an export, of the task's `kind`, which has `version` and `files`.

    command: that wrote it. Raises InputError if there is none, or if it is damaged or of another
    version.
    """
    folder = Path(folder)
    where = folder / MANIFEST
    if not where.is_file():
        raise InputError(f"{folder}: no exported model (no {MANIFEST}); see `{command}`")
    manifest: Any = from_json(kind, read_text(where), str(where))
    if manifest.version != version:
        raise InputError(
            f"{where}: version {manifest.version} of the layout, this package reads {version}; "
            "export the model again"
        )
    return manifest


def check_files(folder: str | Path, files: dict[str, int], named: Sequence[str]) -> None:
    """Raise InputError for a file, of `files` with their bytes or merely `named`, that is not in the
    folder as the manifest says."""
    folder = Path(folder)
    where = folder / MANIFEST
    for name in sorted(set(named) | set(files)):
        if name != Path(name).name or name in ("", ".", ".."):
            raise InputError(f"{where}: {name!r} is not the name of a file beside it")
        size = files.get(name)
        try:
            held = (folder / name).stat().st_size
        except OSError as error:
            raise InputError(f"{folder / name}: {error.strerror or error}") from error
        if held != size:
            raise InputError(f"{folder / name}: {held} bytes, {MANIFEST} says {size}: damaged")
