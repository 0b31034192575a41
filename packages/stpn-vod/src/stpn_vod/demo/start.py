"""What the demo's detectors start from.

Detectors usually start from a backbone that was trained to classify images. There is none of that
size, so the demo trains one first, on crops around the objects, which costs a fraction of what
detection does. First the common start: an encoder that names the pattern on crops of clean frames.
From there twin and STPN go on with crops of all frames, the same number of steps; STPN gets prompts
from crops of two other frames of the video.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from stpn_vod.start import starting_model, with_classes_of
from stpn_vod.weights import save_detector

SIDE = 56  # pixels of a crop, at the scale of the frames; two attention windows at stride 4
BATCH = 32
LR = 1e-3
SUPPORT = 2
REACH = 9  # frames


def train_start(path: Path, recipe: Recipe, index: VideoIndex, steps: int) -> Path:
    """Write the encoder of the common start to `path`, unless it is there."""
    if path.exists():
        return path
    torch.manual_seed(recipe.run.seed)
    encoder = build_encoder(with_classes_of(recipe, index).model)
    for layer in encoder.modules():
        if isinstance(layer, nn.Linear):
            # the usual deviation of 0.02 is made for wide networks and next to nothing in this one
            nn.init.xavier_uniform_(layer.weight)
    clean = [i for i, severity in severities(index).items() if severity == 0]

    def features(crops: Tensor, support: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return encoder.embed(crops).mean(dim=(1, 2)), crops.new_zeros(())

    _classify("common start", encoder, features, index, clean, 0, steps, recipe.run.seed)
    save_weights(path, {f"encoder.{name}": t for name, t in encoder.state_dict().items()}, {})
    return path


def train_crops(path: Path, recipe: Recipe, index: VideoIndex, steps: int) -> Path:
    """Write a detector to `path`, unless it is there, whose encoder (and prompt predictor, if it has
    one) went on from `recipe.init` with crops of all training frames."""
    if path.exists():
        return path
    recipe = with_classes_of(recipe, index)
    model = starting_model(recipe)
    prompted = model.stpn.predictor is not None

    def features(crops: Tensor, support: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if not prompted:
            return model.stpn(crops).maps[-1].mean(dim=(2, 3)), crops.new_zeros(())
        prompts = model.stpn.predict_prompts(model.stpn.embed_support(support))
        extra = model.presence.loss(prompts, list(labels[:, None])) if model.presence else 0
        return model.stpn.encode(crops, prompts).maps[-1].mean(dim=(2, 3)), extra

    frames = list(range(index.num_frames))
    count = SUPPORT if prompted else 0
    _classify(recipe.name, model.stpn, features, index, frames, count, steps, recipe.run.seed)
    save_detector(path, model.state_dict(), recipe.model, index.classes)
    return path


def _classify(
    label: str,
    encoder: nn.Module,
    features: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]],
    index: VideoIndex,
    frames: Sequence[int],
    support: int,
    steps: int,
    seed: int,
) -> None:
    """Train on crops of `frames`; `features` gives one vector per crop and an additional loss."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = nn.LazyLinear(len(index.classes))
    head(features(*_batch(index, [frames[0]], support, rng))[0])  # learns its width
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.05)
    bar = tqdm(range(steps), desc=label, unit="step")
    for step in bar:
        for group in optimizer.param_groups:  # warm-up, plateau, down to zero
            group["lr"] = LR * min(1, (step + 1) / 50, (steps - step) / (0.4 * steps))
        crops, others, labels = _batch(index, rng.choice(frames, BATCH).tolist(), support, rng)
        vectors, extra = features(crops, others, labels)
        scores = head(vectors)
        loss = cross_entropy(scores, labels)
        optimizer.zero_grad()
        (loss + extra).backward()
        optimizer.step()
        right = (scores.argmax(1) == labels).float().mean()
        bar.set_postfix_str(f"loss {loss.item():.3f}, {right.item():.0%} right", refresh=False)


def _batch(
    index: VideoIndex, frames: Sequence[int], support: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops (n, 3, S, S) of `frames`, crops (n, K, 3, S, S) of others of the same video, labels."""
    others = [
        int(i)
        for frame in frames
        for i in rng.choice(
            [i for i in index.frames_of(index.video_of(frame)) if 0 < abs(i - frame) <= REACH],
            support,
            replace=False,
        )
    ]
    images, labels = draw_crops(index, [*frames, *others], rng)
    crops = normalise(images)
    count = len(frames)
    shape = (count, support, *crops.shape[1:])
    return crops[:count], crops[count:].reshape(shape), labels[:count]


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
