"""A small segmenter, its export and a clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stpn_vis.export import ExportConfig, export
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict_config import PredictConfig

from ..tiny import CONFIG, segmenter

CLASSES = ("ant", "bee", "cat", "dog")
SIZE = (64, 96)
SIDES = {"short_side": 60, "long_side": 90}  # so that frames are padded
PREDICT = PredictConfig("window", 4, 3, **SIDES)


def trained(**changes: object) -> TrainedSegmenter:
    """Random weights, spread so that scores and prompts differ."""
    model = segmenter(decoder_layers=2, **changes)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model.decoder.classifier.weight.mul_(4)
        model.decoder.query_content.weight.mul_(2)
        if model.stpn.predictor is not None:
            for weight in model.stpn.predictor.parameters():
                weight.copy_(torch.randn(weight.shape, generator=generator))
    return TrainedSegmenter(model, CONFIG, CLASSES, Path("tiny.safetensors"))


@pytest.fixture(scope="session")
def small() -> TrainedSegmenter:
    return trained()


@pytest.fixture(scope="session")
def folder(small: TrainedSegmenter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of `small`; not to be changed."""
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("export") / "exported"
    export(small, out, ExportConfig(sizes=(SIZE,), predict=PREDICT), say=lambda _: None)
    return out


def frame(seed: int, shift: int = 0) -> np.ndarray:
    """uint8 (80, 120, 3): coloured blocks that move."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (10, 15, 3)).astype(np.uint8)
    return np.roll(blocks.repeat(8, 0).repeat(8, 1), shift, 1)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of frames: two shots of 8 and 5 frames."""
    out = tmp_path_factory.mktemp("clip")
    for t in range(13):
        Image.fromarray(frame(0 if t < 8 else 7, t)).save(out / f"{t}.png")
    return out
