"""A small detector, its export and a clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from stpn_vod.export import ExportConfig, export
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig

from .export_tiny import SIDES, SIZE, frame, tiny


@pytest.fixture(scope="session")
def small() -> TrainedDetector:
    return tiny()


@pytest.fixture(scope="session")
def folder(small: TrainedDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of `small` in both formats; not to be changed."""
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("export") / "exported"
    predict = PredictConfig(policy="window", count=4, stride=3, **SIDES)
    export(small, out, ExportConfig(sizes=(SIZE,), torch=True, predict=predict), say=lambda _: None)
    return out


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames: two shots of 8 and 5 frames."""
    out = tmp_path_factory.mktemp("clip")
    for t in range(13):
        Image.fromarray(frame(0 if t < 8 else 7, t)).save(out / f"{t}.png")
    return out
