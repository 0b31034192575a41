"""The common start of the demo's detectors: an encoder that can name the patterns on clean crops.

Detectors usually start from a backbone that was trained to classify images. There is none of that
size, so the demo trains one first, on crops of clean training frames. Twin and STPN start from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from stpn_core.weights import save_weights
from stpn_data.batch import normalise
from stpn_data.clips import read_frame
from stpn_data.index import VideoIndex
from stpn_vod.build import build_encoder
from stpn_vod.config import Recipe
from stpn_vod.severity import severities
from stpn_vod.start import with_classes_of

SIDE = 56  # pixels of a crop, at the scale of the frames; two attention windows at stride 4
BATCH = 32
LR = 1e-3


def train_start(path: Path, recipe: Recipe, index: VideoIndex, steps: int) -> Path:
    """Write the encoder's weights to `path`, unless they are there; the same bits for one seed."""
    if path.exists():
        return path
    torch.manual_seed(recipe.run.seed)
    rng = np.random.default_rng(recipe.run.seed)
    encoder = build_encoder(with_classes_of(recipe, index).model)
    head = nn.Linear(encoder.support_dim, len(index.classes))
    for layer in encoder.modules():
        if isinstance(layer, nn.Linear):
            # the usual deviation of 0.02 is made for wide networks and next to nothing in this one
            nn.init.xavier_uniform_(layer.weight)
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], weight_decay=0.05)
    clean = [i for i, severity in severities(index).items() if severity == 0]
    bar = tqdm(range(steps), desc="common start", unit="step")
    for step in bar:
        for group in optimizer.param_groups:  # warm-up, plateau, down to zero
            group["lr"] = LR * min(1, (step + 1) / 50, (steps - step) / (0.4 * steps))
        images, labels = draw_crops(index, rng.choice(clean, BATCH).tolist(), rng)
        scores = head(encoder.embed(normalise(images)).mean(dim=(1, 2)))
        loss = cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = (scores.argmax(1) == labels).float().mean()
        bar.set_postfix_str(f"loss {loss.item():.3f}, {right.item():.0%} right", refresh=False)
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    save_weights(path, state, {})
    return path


def draw_crops(
    index: VideoIndex, frames: Sequence[int], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """uint8 crops (n, 3, SIDE, SIDE) around the first object of each frame, and its labels (n,).

    Flipped, transposed and with colours exchanged at random: only the pattern tells the class.
    """
    crops, labels = [], []
    for frame in frames:
        image = read_frame(index, frame)
        x1, y1, x2, y2 = index.boxes_of(frame).boxes[0].tolist()
        middle = ((y1 + y2) / 2, (x1 + x2) / 2)
        top, left = (
            int(np.clip(at + rng.uniform(-4, 4) - SIDE / 2, 0, max(0, size - SIDE)))
            for at, size in zip(middle, image.shape[1:], strict=True)
        )
        crops.append(image[:, top : top + SIDE, left : left + SIDE])
        labels.append(int(index.boxes_of(frame).labels[0]))
    images = torch.stack(crops)
    images = images[:, torch.from_numpy(rng.permutation(3))]
    if rng.random() < 0.5:
        images = images.flip(-1)
    if rng.random() < 0.5:
        images = images.transpose(-1, -2)
    return images, torch.tensor(labels)
