"""A trained segmenter with what its numbers mean, from a weights file or a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from stpn_core.runs import weights_file
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.segmenter import Segmenter
from stpn_vis.weights import read_segmenter


@dataclass(frozen=True, eq=False)
class TrainedSegmenter:
    """A segmenter ready to use, in evaluation mode."""

    model: Segmenter
    config: SegmenterConfig
    classes: tuple[str, ...]
    source: Path


def load_trained(path: str | Path, device: torch.device | str = "cpu") -> TrainedSegmenter:
    """The segmenter of a weights file, or of a run directory: its best checkpoint, or its last if
    none was validated. Raises InputError if there is none."""
    stored = read_segmenter(weights_file(path))
    model = stored.build().to(device)
    numbered = tuple(f"class {i}" for i in range(stored.config.num_classes))
    return TrainedSegmenter(model, stored.config, stored.classes or numbered, stored.source)
