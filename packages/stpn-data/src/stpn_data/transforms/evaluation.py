"""Resizing at test time: nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stpn_data.transforms.geometry import Crop, Geometry
from stpn_data.transforms.resize import Resampling, fit


@dataclass(frozen=True)
class EvalResize:
    """Short side at most `short`, long side at most `long`, ratio kept (released: 600 and 1000)."""

    short: int = 600
    long: int = 1000
    resampling: Resampling = "antialias"

    def geometry(self, size: tuple[int, int]) -> Geometry:
        """Geometry of a frame of `size` (h, w)."""
        whole = Crop(0, 0, *size)
        return Geometry(whole, size, fit(size, self.short, self.long), False, self.resampling)

    def draw(
        self, rng: np.random.Generator, size: tuple[int, int], frames: int
    ) -> tuple[Geometry, ...]:
        """The same for every frame; `rng` is left alone."""
        return (self.geometry(size),) * frames
