"""What an export says about itself: `model.json` in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stpn_core.command import read_text
from stpn_core.errors import InputError
from stpn_core.settings import STRICT, from_json
from stpn_vod.predict_config import PolicyName, Resampling

MANIFEST = "model.json"
VERSION = 1


@dataclass(frozen=True)
class Graphs:
    """The ONNX files of one size, by what they do; see `ExportedModel`."""

    __pydantic_config__ = STRICT

    height: int
    """Of the padded frames, in pixels; so is width."""
    width: int
    plain: str
    """Encoder without prompts: image -> maps, and the tokens of a support frame."""
    head: str
    """Maps and the size before padding -> detections."""
    encoder: str = ""
    """Encoder with prompts: image and prompts -> maps; empty for a single-frame detector."""
    predictor: str = ""
    """Support tokens and which are valid -> prompts; empty for a single-frame detector."""

    def files(self) -> tuple[str, ...]:
        """The names that are there."""
        return tuple(n for n in (self.plain, self.head, self.encoder, self.predictor) if n)


@dataclass(frozen=True)
class Check:
    """How far a graph was from torch when it was exported."""

    __pydantic_config__ = STRICT

    graph: str
    size: str
    frames: str
    """What it was compared on: random or real."""
    largest: float
    """Largest difference: of maps, tokens and prompts in units of their largest value; of
    detections in pixels and in score."""
    compared: int = 0
    alone: int = 0
    """Detections compared, and those among them that the other side has not: a pair that overlaps
    by just the limit may be one box here and two there."""


@dataclass(frozen=True)
class Manifest:
    """Everything the runner needs besides the graphs."""

    __pydantic_config__ = STRICT

    format: Literal["stpn-vod-export"]
    version: int
    source: str
    """The weights that were exported."""
    classes: tuple[str, ...]
    mean: tuple[float, float, float]
    """Subtracted from uint8 RGB levels; then `std` divides."""
    std: tuple[float, float, float]
    pad_to: int
    """Frames are zero-padded to multiples of this many pixels."""
    short_side: int
    long_side: int
    resampling: Resampling
    """How frames are resized before that, unless the user asks for something else."""
    policy: PolicyName
    count: int
    stride: int
    """Support frames, unless the user asks for others; see `PredictConfig`."""
    graphs: tuple[Graphs, ...] = ()
    """By size, smallest first; none if only programs of torch were exported."""
    programs: tuple[Graphs, ...] = ()
    """The same as programs of `torch.export`."""
    opset: int = 0
    files: dict[str, int] = field(default_factory=dict)
    """Bytes of every file that belongs to the export."""
    checks: tuple[Check, ...] = ()
    made_with: dict[str, str] = field(default_factory=dict)
    """Versions of what wrote it."""


def is_exported(path: str | Path) -> bool:
    """Whether `path` is a folder that `stpn vod export` wrote."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of an export. Raises InputError if there is none, or if it or its files are
    damaged or of another version."""
    folder = Path(folder)
    where = folder / MANIFEST
    if not where.is_file():
        raise InputError(f"{folder}: no exported model (no {MANIFEST}); see `stpn vod export`")
    manifest = from_json(Manifest, read_text(where), str(where))
    if manifest.version != VERSION:
        raise InputError(
            f"{where}: version {manifest.version} of the layout, this package reads {VERSION}; "
            "export the model again"
        )
    named = {name for graphs in manifest.graphs + manifest.programs for name in graphs.files()}
    for name in sorted(named | set(manifest.files)):
        if name != Path(name).name or name in ("", ".", ".."):
            raise InputError(f"{where}: {name!r} is not the name of a file beside it")
        size = manifest.files.get(name)
        try:
            held = (folder / name).stat().st_size
        except OSError as error:
            raise InputError(f"{folder / name}: {error.strerror or error}") from error
        if held != size:
            raise InputError(f"{folder / name}: {held} bytes, {MANIFEST} says {size}: damaged")
    return manifest
