"""The common start of the demo's segmenters: an encoder that can name the patterns on clean crops.

Segmenters usually start from one that was trained on images. There is none of that size, so the demo
trains an encoder first, on crops of clean training frames. Twin and STPN start from it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stpn_core.training.encoder_start import save_encoder, train_encoder
from stpn_data.batch import normalise
from stpn_data.crops import draw_crops
from stpn_data.index import VideoIndex
from stpn_vis.build import build_encoder
from stpn_vis.config import Recipe
from stpn_vis.severity import severities
from stpn_vis.start import with_classes_of

SIDE = 24  # pixels of a crop, well inside an object: no neighbour in it; one window at stride 4
BATCH = 32
LR = 2e-3


def train_start(path: Path, recipe: Recipe, index: VideoIndex, steps: int) -> Path:
    """Write the encoder's weights to `path`, unless they are there; the same bits for one seed."""
    if path.exists():
        return path
    torch.manual_seed(recipe.run.seed)
    rng = np.random.default_rng(recipe.run.seed)
    encoder = build_encoder(with_classes_of(recipe, index).model)
    look_for_patterns(encoder)
    severity = np.concatenate(severities(index, recipe.data.root))
    shown = np.diff(index.box_start) > 0
    clean = np.flatnonzero((severity == 0) & shown)

    def draw() -> tuple[Tensor, Tensor]:
        images, labels = draw_crops(index, rng.choice(clean, BATCH).tolist(), SIDE, rng)
        return normalise(images), labels

    train_encoder(encoder, draw, len(index.classes), steps, lr=LR)
    save_encoder(path, encoder)
    return path


@torch.no_grad()
def look_for_patterns(encoder: nn.Module) -> None:
    """Three of four filters that see the pixels answer to contrast alone, and strongly.

    A class is told by its pattern, and colours are the larger signal; with filters drawn as usual
    the encoder may stay at guessing for a thousand steps.
    """
    (filters,) = (
        w for name, w in encoder.named_parameters() if name.endswith("patch_embed.proj.weight")
    )
    chosen = filters[len(filters) // 4 :]
    chosen.copy_(4 * (chosen - chosen.mean(dim=(2, 3), keepdim=True)))
