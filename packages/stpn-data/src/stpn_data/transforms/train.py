"""The released training augmentation (DETR's policy), drawn once for a whole clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpn_data.errors import DataError
from stpn_data.transforms.geometry import Crop, Geometry
from stpn_data.transforms.resize import Resampling, fit


@dataclass(frozen=True)
class TrainTransform:
    """Half of the clips are resized (policy A), half cropped and then resized (policy B).

    A: short side one of `short_sides`, long side at most `max_long`, ratio kept.
    B: as if resized to a short side of `crop_short_sides`, a window of `crop_range` pixels a side
    is cut out of that, which is then resized as in A. Both resizes are done as one, so pixels are
    sampled once.

    square: instead of A's sizes, resize to short x short whatever the ratio.
    independent_crop: the crop is drawn for each frame by itself, as the released code does by
    accident; frames are padded to the largest of them before the resize. Default: one crop.
    """

    short_sides: tuple[int, ...] = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    max_long: int = 1333
    crop_probability: float = 0.5
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    crop_range: tuple[int, int] = (384, 600)
    flip_probability: float = 0.5
    square: bool = False
    independent_crop: bool = False
    resampling: Resampling = "antialias"

    def __post_init__(self) -> None:
        sides = (*self.short_sides, *self.crop_short_sides, *self.crop_range, self.max_long)
        if not self.short_sides or not self.crop_short_sides or min(sides) < 1:
            raise DataError(f"training sizes must be given and be 1 pixel or more: {self}")
        if self.crop_range[0] > self.crop_range[1]:
            raise DataError(f"crop_range must be (smallest, largest), not {self.crop_range}")
        for name in ("crop_probability", "flip_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise DataError(f"{name} must be between 0 and 1, not {getattr(self, name)}")

    def draw(
        self, rng: np.random.Generator, size: tuple[int, int], frames: int
    ) -> tuple[Geometry, ...]:
        """Geometry of each of `frames` frames of `size` (h, w)."""
        flip = bool(rng.random() < self.flip_probability)
        short = int(rng.choice(self.short_sides))
        crops = self._crops(rng, size, frames if self.independent_crop else 1)
        canvas = max(c.height for c in crops), max(c.width for c in crops)
        target = (short, short) if self.square else fit(canvas, short, self.max_long)
        drawn = tuple(Geometry(crop, canvas, target, flip, self.resampling) for crop in crops)
        return drawn if self.independent_crop else drawn * frames

    def _crops(
        self, rng: np.random.Generator, size: tuple[int, int], count: int
    ) -> tuple[Crop, ...]:
        if rng.random() >= self.crop_probability:
            return (Crop(0, 0, *size),) * count
        middle = fit(size, int(rng.choice(self.crop_short_sides)), self.max_long)
        return tuple(self._crop(rng, size, middle) for _ in range(count))

    def _crop(
        self, rng: np.random.Generator, size: tuple[int, int], middle: tuple[int, int]
    ) -> Crop:
        """A window drawn in the image of size `middle`, in pixels of the file."""
        low, high = self.crop_range
        starts, lengths = [], []
        for source, resized in zip(size, middle, strict=True):
            length = int(rng.integers(min(resized, low), min(resized, high) + 1))
            start = int(rng.integers(0, resized - length + 1))
            first = round(start * source / resized)
            last = round((start + length) * source / resized)
            starts.append(min(first, source - 1))
            lengths.append(max(1, last - first))
        return Crop(starts[0], starts[1], lengths[0], lengths[1])
