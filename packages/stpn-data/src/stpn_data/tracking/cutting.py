"""The crops of one clip, from files to pixels at network size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stpn_data.boxes import clean_boxes
from stpn_data.clips import read_frame
from stpn_data.errors import DataError
from stpn_data.index import ABSENT
from stpn_data.masks import CROWD
from stpn_data.tracking.crops import Box, Crop, cut
from stpn_data.tracking.draw import Place
from stpn_data.tracking.jitter import box_in_crop, jittered_box
from stpn_data.tracking.targets import Targets

UNREADABLE = "unreadable"
FEATURE_STRIDE = 16  # pixels of a crop per cell of the network's last map


@dataclass(frozen=True)
class CropSettings:
    """Crops as MixFormer makes them.

    template_size, search_size: sides in pixels. template_factor, search_factor: sides of what is
    cut, in root areas of the box. scale_jitter, centre_jitter: of search and support crops (see
    `jittered_box`). parity: with the two quirks of the original, half a pixel of skew and the image's
    last row and column as padding (see `box_in_crop` and `cut`).
    """

    template_size: int = 128
    search_size: int = 320
    template_factor: float = 2.0
    search_factor: float = 5.0
    scale_jitter: float = 0.5
    centre_jitter: float = 4.5
    parity: bool = True

    def __post_init__(self) -> None:
        sizes = self.template_size, self.search_size, self.template_factor, self.search_factor
        if min(sizes) <= 0 or min(self.scale_jitter, self.centre_jitter) < 0:
            raise DataError(f"sizes and factors of crops must be above 0, jitter not below: {self}")


class CropFailed(Exception):
    """A crop that cannot be used. reason: one of a few; frame: its name; what: in words."""

    def __init__(self, reason: str, frame: str, what: str) -> None:
        super().__init__(f"{reason}: {frame}: {what}")
        self.what = what
        self.unreadable = reason == UNREADABLE


@dataclass(frozen=True)
class SearchCrop:
    """pixels (3,S,S) uint8. box: x1, y1, x2, y2 in sides of the crop, not clipped. labels: classes
    of its data set that are seen in it."""

    pixels: Tensor
    box: tuple[float, float, float, float]
    labels: NDArray[np.int64]


class Cutter:
    """Cuts crops for one clip; a frame that is used twice is decoded once."""

    def __init__(self, sets: Sequence[Targets], settings: CropSettings) -> None:
        self._sets = sets
        self._settings = settings
        self._images: dict[tuple[int, int], Tensor] = {}

    def template(self, place: Place) -> Tensor:
        """A crop around the box, (3,T,T) uint8. Raises CropFailed."""
        image, box = self._read(place)
        settings = self._settings
        return self._cut(place, image, box, settings.template_factor, settings.template_size).pixels

    def search(self, place: Place, rng: np.random.Generator) -> SearchCrop:
        """A crop near the box, moved and scaled at random. Raises CropFailed."""
        image, box = self._read(place)
        settings = self._settings
        normal, uniform = rng.standard_normal(2), rng.random(2)
        around = jittered_box(
            box,
            settings.scale_jitter,
            settings.centre_jitter,
            (float(normal[0]), float(normal[1])),
            (float(uniform[0]), float(uniform[1])),
        )
        size = settings.search_size
        crop = self._cut(place, image, around, settings.search_factor, size)
        x, y, w, h = box_in_crop(box, around, size, crop.scale, parity=settings.parity)
        labels = self._labels(place, around, size, crop.scale)
        return SearchCrop(crop.pixels, (x, y, x + w, y + h), labels)

    def _read(self, place: Place) -> tuple[Tensor, Box]:
        at = place.data, place.frame
        if at not in self._images:
            try:
                self._images[at] = read_frame(self._sets[place.data].index, place.frame)
            except (DataError, OSError) as error:
                raise self._failed(UNREADABLE, place, str(error)) from error
        image = self._images[at]
        return image, place.box or _middle_box(*image.shape[1:])

    def _cut(self, place: Place, image: Tensor, box: Box, factor: float, size: int) -> Crop:
        try:
            crop = cut(image, box, factor, size, parity=self._settings.parity)
        except DataError as error:
            raise self._failed("no area", place, str(error)) from error
        # nearest neighbours on the feature map, as the original looks at it
        cells = max(1, size // FEATURE_STRIDE)
        grid = torch.arange(cells) * size // cells
        if crop.padding[grid][:, grid].all():
            raise self._failed("all padding", place, f"the crop around {box} is outside the image")
        return crop

    def _labels(self, place: Place, around: Box, size: int, scale: float) -> NDArray[np.int64]:
        """Classes of the boxes of a frame of which a pixel or more is in the crop."""
        found = self._sets[place.data].index.boxes_of(place.frame)
        middle = np.array([around[i] + 0.5 * around[2 + i] for i in (0, 1)])
        inside = (found.boxes.astype(np.float64) - np.tile(middle, 2)) * scale + size / 2
        kept = clean_boxes(inside, (size, size)).kept
        seen = (found.flags[kept] & (ABSENT | CROWD)) == 0
        return found.labels[kept][seen].astype(np.int64)

    def _failed(self, reason: str, place: Place, what: str) -> CropFailed:
        name = self._sets[place.data].index.frame_name(place.frame)
        return CropFailed(reason, name, what)


def _middle_box(height: int, width: int) -> Box:
    """An eighth of the frame each way, in whole pixels as in the original."""
    w, h = width / 8, height / 8
    x, y = int(width / 2 - w / 2), int(height / 2 - h / 2)
    return (float(x), float(y), float(max(1, int(w))), float(max(1, int(h))))
