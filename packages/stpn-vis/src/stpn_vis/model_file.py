"""A trained segmenter with what its numbers mean, from a weights file or a run directory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch

from stpn_core.hub import check_config, config_bytes
from stpn_core.runs import weights_file
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.conversion import TASK
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
    """The segmenter of a weights file, of a saved folder, of a run directory (its best checkpoint,
    or its last if none was validated), or of a repository `hf://owner/name[@revision]`.

    Raises InputError if there is none, or if a saved folder's config.json was changed.
    """
    stored = read_segmenter(weights_file(path))
    config = dataclasses.asdict(stored.config)
    check_config(stored.source, config_bytes(TASK, config, stored.classes))
    model = stored.build().to(device)
    numbered = tuple(f"class {i}" for i in range(stored.config.num_classes))
    return TrainedSegmenter(model, stored.config, stored.classes or numbered, stored.source)
