"""A trained detector with what its numbers mean, from a weights file or a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from stpn_core.errors import InputError
from stpn_core.runs import RunDir, latest_complete, read_best, verify
from stpn_vod.build import Detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.weights import read_detector

MODEL_FILE = "model.safetensors"
"""Name of the weights inside a checkpoint of a run."""


@dataclass(frozen=True, eq=False)
class TrainedDetector:
    """A detector ready to use, in evaluation mode."""

    model: Detector
    config: DetectorConfig
    classes: tuple[str, ...]
    source: Path


def load_trained(path: str | Path, device: torch.device | str = "cpu") -> TrainedDetector:
    """The detector of a weights file, or of a run directory: its best checkpoint, or its last if
    none was validated. Raises InputError if there is none."""
    stored = read_detector(weights_file(path))
    model = stored.build().to(device)
    numbered = tuple(f"class {i}" for i in range(stored.config.num_classes))
    return TrainedDetector(model, stored.config, stored.classes or numbered, stored.source)


def weights_file(path: str | Path) -> Path:
    """The weights that `path` stands for: itself, or those of a checkpoint or a run directory,
    which are verified first. Raises InputError if there are none, or they are damaged."""
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / MODEL_FILE).is_file():
        return path / MODEL_FILE
    run = RunDir(path)
    best = read_best(run)
    if best is not None:
        verify(run.checkpoint(best.step), best.step)
        return run.checkpoint(best.step) / MODEL_FILE
    step = latest_complete(run)
    if step is None:
        raise InputError(f"{path}: a folder without a complete checkpoint; name a weights file")
    return run.checkpoint(step) / MODEL_FILE
