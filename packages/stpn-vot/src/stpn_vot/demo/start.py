"""An encoder that can name the textures on clean crops, from which the demo's trackers learn to track.

Trackers usually start from one that was trained on images. There is none of that size, so the demo
trains an encoder first, on crops of clean videos.
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
from stpn_vot.build import build_tracker
from stpn_vot.config import Recipe
from stpn_vot.targets import target_of

SIDE = 32  # pixels of a crop, well inside a target
BATCH = 32
LR = 2e-3


def train_crops(path: Path, recipe: Recipe, index: VideoIndex, steps: int) -> Path:
    """Write the encoder's weights to `path`, unless they are there; the same bits for one seed.

    index: clean videos with targets.
    """
    if path.exists():
        return path
    torch.manual_seed(recipe.run.seed)
    rng = np.random.default_rng(recipe.run.seed)
    encoder = build_tracker(recipe.model.without_prompts()).encoder
    frames = frames_with_target(index)

    def draw() -> tuple[Tensor, Tensor]:
        images, labels = draw_crops(index, rng.choice(frames, BATCH).tolist(), SIDE, rng)
        return normalise(images), labels

    train_encoder(encoder, draw, len(index.classes), steps, lr=LR)
    save_encoder(path, encoder)
    return path


def frames_with_target(index: VideoIndex) -> list[int]:
    """Frames in which the target of their video can be seen."""
    targets = [target_of(index, video) for video in range(index.num_videos)]
    return [f for one in targets for f, seen in zip(one.frames, one.visible, strict=True) if seen]
