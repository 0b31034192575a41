"""What an export of a tracker says about itself: `model.json` in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stpn_core.export.manifest import Check, check_files
from stpn_core.export.manifest import is_exported as is_exported
from stpn_core.export.manifest import read_manifest as read_any
from stpn_core.settings import STRICT
from stpn_vot.tracking_config import TrackingConfig, check_tracking

VERSION = 1


@dataclass(frozen=True)
class TrackerGraphs:
    """The ONNX files by what they do; see `ExportedTracker`."""

    __pydantic_config__ = STRICT

    template: str
    """Templates -> the first one's map, keys and values of every block."""
    plain: str
    """Search region without prompts and what `template` gives -> box, score, map."""
    prompted: str = ""
    """The same with prompts; empty without a predictor."""
    predictor: str = ""
    """Maps of support frames -> prompts; empty without a predictor."""

    def files(self) -> tuple[str, ...]:
        """The names that are there."""
        return tuple(n for n in (self.template, self.plain, self.prompted, self.predictor) if n)


@dataclass(frozen=True)
class Manifest:
    """Everything the runner needs besides the graphs."""

    __pydantic_config__ = STRICT

    format: Literal["stpn-vot-export"]
    version: int
    source: str
    """The weights that were exported."""
    mean: tuple[float, float, float]
    """Subtracted from uint8 RGB levels; then `std` divides."""
    std: tuple[float, float, float]
    tracking: TrackingConfig
    """Crop sizes, which the graphs fix, and how targets are followed unless the user asks for
    something else."""
    graphs: TrackerGraphs
    opset: int
    files: dict[str, int] = field(default_factory=dict)
    """Bytes of every file that belongs to the export."""
    checks: tuple[Check, ...] = ()
    made_with: dict[str, str] = field(default_factory=dict)
    """Versions of what wrote it."""


def read_manifest(folder: str | Path) -> Manifest:
    """The manifest of an export. Raises InputError if there is none, or if it or its files are
    damaged or of another version."""
    manifest = read_any(folder, Manifest, VERSION, "stpn vot export")
    check_files(folder, manifest.files, manifest.graphs.files())
    check_tracking(manifest.tracking)
    return manifest
