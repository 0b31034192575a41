"""The common start of the demo's detectors: an encoder that can name the patterns on clean crops.

Detectors usually start from a backbone that was trained to classify images. There is none of that
size, so the demo trains one first, on crops of clean training frames. Twin and STPN start from it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stpn_core.training.encoder_start import save_encoder, train_encoder
from stpn_data.batch import normalise
from stpn_data.crops import draw_crops
from stpn_data.index import VideoIndex
from stpn_vod.build import build_encoder
from stpn_vod.config import Recipe
from stpn_vod.severity import severities
from stpn_vod.start import with_classes_of

SIDE = 56  # pixels of a crop, at the scale of the frames; two attention windows at stride 4
BATCH = 32


def train_start(path: Path, recipe: Recipe, index: VideoIndex, steps: int) -> Path:
    """Write the encoder's weights to `path`, unless they are there; the same bits for one seed."""
    if path.exists():
        return path
    torch.manual_seed(recipe.run.seed)
    rng = np.random.default_rng(recipe.run.seed)
    encoder = build_encoder(with_classes_of(recipe, index).model)
    clean = [i for i, severity in severities(index).items() if severity == 0]

    def draw() -> tuple[Tensor, Tensor]:
        images, labels = draw_crops(index, rng.choice(clean, BATCH).tolist(), SIDE, rng)
        return normalise(images), labels

    train_encoder(encoder, draw, len(index.classes), steps)
    save_encoder(path, encoder)
    return path
