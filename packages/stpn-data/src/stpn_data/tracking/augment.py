"""What a crop may look like besides: grey, brighter or darker, flipped (MixFormer).

Some of it is drawn once for all crops of a clip, the rest for each crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stpn_data.errors import DataError


@dataclass(frozen=True)
class Augmentation:
    """grey, flip: share of clips that are grey, and flipped, as a whole. brightness: each crop's is
    multiplied by 1 ± up to that. crop_flip: share of crops that are flipped once more."""

    grey: float = 0.05
    flip: float = 0.5
    brightness: float = 0.2
    crop_flip: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise DataError(f"augmentation: {name} is from 0 to 1, not {value}")


NO_AUGMENTATION = Augmentation(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Look:
    """How one crop is changed."""

    grey: bool = False
    brightness: float = 1.0
    flip: bool = False


def draw_looks(rng: np.random.Generator, count: int, settings: Augmentation) -> list[Look]:
    """Looks of `count` crops of one clip."""
    grey = bool(rng.random() < settings.grey)
    flip = bool(rng.random() < settings.flip)
    brightness = 1 + settings.brightness * rng.uniform(-1, 1, count)
    flips = flip ^ (rng.random(count) < settings.crop_flip)
    return [Look(grey, float(b), bool(f)) for b, f in zip(brightness, flips, strict=True)]


def apply_look(pixels: Tensor, look: Look) -> Tensor:
    """A crop (3, S, S) uint8, changed."""
    if look.grey:
        pixels = to_grey(pixels)
    if look.brightness != 1:
        pixels = (pixels.float() * look.brightness).round_().clamp_(0, 255).to(torch.uint8)
    return pixels.flip(-1) if look.flip else pixels


def flipped_box(box: tuple[float, ...], flip: bool) -> tuple[float, ...]:
    """x1, y1, x2, y2 in sides of a crop that is flipped, or is not."""
    x1, y1, x2, y2 = box
    return (1 - x2, y1, 1 - x1, y2) if flip else box


def to_grey(pixels: Tensor) -> Tensor:
    """(3, H, W) uint8 RGB with three equal channels of the same luma (ITU-R BT.601)."""
    weights = torch.tensor([19595, 38470, 7471], dtype=torch.int32).view(3, 1, 1)  # of 65536
    luma = ((pixels.int() * weights).sum(0) + 32768) >> 16
    return luma.to(torch.uint8).expand(3, -1, -1).contiguous()
