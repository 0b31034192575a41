"""What an export of a segmenter says about itself: `model.json` in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from stpn_core.export.manifest import Check, Graphs, check_files
from stpn_core.export.manifest import is_exported as is_exported
from stpn_core.export.manifest import read_manifest as read_any
from stpn_core.settings import STRICT

VERSION = 1
FORMAT: Final = "stpn-vis-export"


@dataclass(frozen=True)
class Manifest:
    """Everything the runner needs besides the graphs."""

    __pydantic_config__ = STRICT

    format: Literal["stpn-vis-export"]
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
    """How frames are resized before that, unless the user asks for something else."""
    policy: Literal["uniform", "window", "online"]
    count: int
    stride: int
    """Support frames, unless the user asks for others; see `PredictConfig`."""
    graphs: tuple[Graphs, ...] = ()
    """By size, smallest first; none if only programs of torch were exported. A head takes maps and
    gives class logits, mask logits and embeddings of all queries."""
    programs: tuple[Graphs, ...] = ()
    """The same as programs of `torch.export`."""
    opset: int = 0
    files: dict[str, int] = field(default_factory=dict)
    """Bytes of every file that belongs to the export."""
    checks: tuple[Check, ...] = ()
    made_with: dict[str, str] = field(default_factory=dict)
    """Versions of what wrote it."""


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of an export. Raises InputError if there is none, or if it or its files are
    damaged or of another version."""
    manifest = read_any(folder, Manifest, VERSION, "stpn vis export")
    graphs = manifest.graphs + manifest.programs
    check_files(folder, manifest.files, [name for one in graphs for name in one.files()])
    return manifest
