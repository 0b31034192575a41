"""The path of one frame from pixels of its file to pixels of the network, for images and boxes.

torchvision's box-dependent transforms look only at the first frame's boxes of a clip, so crop and
sanitise are done here, frame by frame, and labels and track ids go with the boxes that stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from stpn_data.transforms.resize import Resampling, resize


class Crop(NamedTuple):
    """A rectangle in pixels of the file."""

    top: int
    left: int
    height: int
    width: int


class PlacedBoxes(NamedTuple):
    """Boxes in network pixels, and which of the given ones they were."""

    boxes: Tensor  # (n,4) float32
    kept: Tensor  # (n,) int64 positions among the boxes given


@dataclass(frozen=True)
class Geometry:
    """Crop, then pad right and bottom to `canvas`, then resize to `size`, then flip.

    Sizes are (h, w). canvas is larger than the crop only where frames of one clip are cropped to
    different sizes.
    """

    crop: Crop
    canvas: tuple[int, int]
    size: tuple[int, int]
    flip: bool = False
    resampling: Resampling = "antialias"

    @property
    def scale(self) -> tuple[float, float]:
        """Network pixels per pixel of the file: (sx, sy)."""
        return self.size[1] / self.canvas[1], self.size[0] / self.canvas[0]

    def images(self, images: Tensor) -> Tensor:
        """uint8 (..., 3, H, W) to uint8 (..., 3, *size)."""
        top, left, height, width = self.crop
        out = images[..., top : top + height, left : left + width]
        if self.canvas != (height, width):
            pad = (0, self.canvas[1] - width, 0, self.canvas[0] - height)
            out = torch.nn.functional.pad(out, pad)
        out = resize(out, self.size, self.resampling)
        return out.flip(-1) if self.flip else out

    def masks(self, masks: Tensor) -> Tensor:
        """Masks uint8 (n, H, W) to uint8 (n, *size): each pixel takes the one that its middle falls
        on, exactly as Pillow's NEAREST does and so detectron2.
        """
        top, left, height, width = self.crop
        rows, columns = (_nearest(*sides) for sides in zip(self.canvas, self.size, strict=True))
        inside = (rows < height)[:, None] & (columns < width)
        out = masks.index_select(1, top + rows.clamp(max=height - 1))
        out = out.index_select(2, left + columns.clamp(max=width - 1))
        out = out if inside.all() else out * inside
        return out.flip(-1) if self.flip else out

    def boxes(self, boxes: Tensor, min_side: float = 1.0) -> PlacedBoxes:
        """Boxes (n,4) x1, y1, x2, y2 of the file to network pixels, clipped to the crop.

        What is left thinner than `min_side` network pixels, or is not finite, is dropped.
        """
        top, left, height, width = self.crop
        sx, sy = self.scale
        kept = torch.isfinite(boxes).all(1).nonzero().squeeze(1)
        x1, y1, x2, y2 = boxes[kept].float().unbind(1)
        # the last clamp takes off what rounding puts outside
        x1, x2 = (((x - left).clamp(0, width) * sx).clamp(max=self.size[1]) for x in (x1, x2))
        y1, y2 = (((y - top).clamp(0, height) * sy).clamp(max=self.size[0]) for y in (y1, y2))
        if self.flip:
            x1, x2 = self.size[1] - x2, self.size[1] - x1
        placed = torch.stack([x1, y1, x2, y2], 1)
        enough = (x2 - x1 >= min_side) & (y2 - y1 >= min_side)
        return PlacedBoxes(placed[enough], kept[enough])


def _nearest(old: int, new: int) -> Tensor:
    """(new,) the pixel of `old` ones that each of `new` ones takes."""
    steps = np.full(new, old / new)
    steps[0] /= 2
    places = np.cumsum(steps).astype(np.int64)  # summed up as Pillow does: it decides ties
    return torch.from_numpy(places.clip(max=old - 1))


def mask_boxes(masks: Tensor) -> Tensor:
    """float32 (n,4) x1, y1, x2, y2 around what is inside masks (n,H,W); zeros for an empty one."""
    sides = []
    for seen in (masks.amax(1) > 0, masks.amax(2) > 0):  # (n,W), (n,H)
        length = seen.shape[1]
        first = seen.int().argmax(1)
        last = length - seen.flip(1).int().argmax(1)
        sides.append(torch.stack([first, last], 1) * seen.any(1)[:, None])
    (x1, x2), (y1, y2) = sides[0].unbind(1), sides[1].unbind(1)
    return torch.stack([x1, y1, x2, y2], 1).float()


class ClipTransform(Protocol):
    """Draws the geometry of a clip; all its frames come out at one size."""

    def draw(
        self, rng: np.random.Generator, size: tuple[int, int], frames: int
    ) -> tuple[Geometry, ...]:
        """Geometry of each of `frames` frames of `size` (h, w): the key frame, then its support."""
        ...
