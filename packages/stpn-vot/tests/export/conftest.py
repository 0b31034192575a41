"""A small tracker, its export and a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stpn_core.cli import main
from stpn_vot.model_file import TrainedTracker, load_trained
from stpn_vot.weights import save_tracker

from ..networks import PROMPTED, tracker


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tracker(path, tracker().state_dict(), PROMPTED)
    return path


@pytest.fixture(scope="session")
def small(weights: Path) -> TrainedTracker:
    return load_trained(weights)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 12 frames: coloured blocks that move."""
    out = tmp_path_factory.mktemp("clip")
    blocks = np.random.default_rng(1).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    for t in range(12):
        pixels = np.roll(blocks.repeat(8, 0).repeat(8, 1), 2 * t, 1)
        Image.fromarray(pixels).save(out / f"{t:02d}.png")
    return out


@pytest.fixture(scope="session")
def folder(weights: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of `small`, by the command; not to be changed."""
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("export") / "exported"
    arguments = ["vot", "export", "--weights", str(weights), "--out", str(out)]
    tracking = ["--tracking.support-stride", "2", "--tracking.interval", "3"]
    assert main([*arguments, *tracking, "--frames", str(clip), "--box", "30,20,14,12"]) == 0
    return out
