"""EigenCAM on a feature pyramid: the direction in which its activations vary most over the image.

Muhammad and Yeasin, "Eigen-CAM: Class activation map using principal components" (2020), with the
first of the two changes that the STPN supplement (sec. 3) makes for detectors: all levels of the
pyramid are brought to one scale and joined. The second, a target for a chosen box, cannot matter
here, since EigenCAM reads no target; it does in `box_cam.py`.

The numbers are those of the `grad-cam` package (1.5.7), up to the sign. A principal component has
none: the package leaves it to its linear algebra, which may well paint everything but the object.
Here hot is the side on which the chosen boxes lie.

C channels, h x w cells of a map.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_core import Features

CELLS = 7
"""Cells along the short side that a map needs to show anything."""


def common_stride(pyramid: Features, size: tuple[int, int]) -> int:
    """The stride to bring all levels to, for an image of `size` h, w: that of the coarsest level
    (64 pixels, the supplement's scale) unless fewer than CELLS cells would remain."""
    fitting = [stride for stride in pyramid.strides if -(-min(size) // stride) >= CELLS]
    return max(fitting, default=pyramid.strides[0])


def joined_levels(pyramid: Features, stride: int, size: tuple[int, int]) -> Tensor:
    """Magnitudes of all levels (levels x C, h, w) at the cells of the level with `stride`.

    Cells that lie on the padding, beyond `size` h, w, are left out.
    """
    target = pyramid.maps[pyramid.strides.index(stride)].shape[-2:]
    maps = [
        F.interpolate(level.detach().float().abs(), target, mode="bilinear")[0]
        for level in pyramid.maps
    ]
    return torch.cat(maps)[:, : -(-size[0] // stride), : -(-size[1] // stride)].cpu()


def principal_map(activations: Tensor, inside: Tensor | None = None) -> Tensor:
    """Activations (C, h, w) projected on their first principal component over the cells: (h, w).

    inside (h, w) from 0 to 1: how far a cell lies in a chosen box; the mean there is made the larger
    one. None, or where that decides nothing: the loadings of the channels sum to more than zero.
    """
    cells = activations.flatten(1).T.double()
    centred = cells - cells.mean(0)
    _, _, loadings = torch.linalg.svd(centred, full_matrices=False)
    projected = centred @ loadings[0]
    side = loadings[0].sum()
    if inside is not None and 0 < inside.sum() < inside.numel():
        share = inside.flatten().double()
        side = (projected @ share) / share.sum() - (projected @ (1 - share)) / (1 - share).sum()
    return (projected * (-1 if side < 0 else 1)).reshape(activations.shape[1:]).float()


def eigen_cam(
    pyramid: Features, size: tuple[int, int], boxes: Tensor | None = None, stride: int = 0
) -> Tensor:
    """Heat (h, w) from 0 to 1 of a frame of `size` h, w, for a pyramid of batch size 1.

    It knows nothing of classes. boxes (n, 4) in network pixels decide the sign alone. stride: of
    the cells; 0 for `common_stride`.
    """
    stride = stride or common_stride(pyramid, size)
    joined = joined_levels(pyramid, stride, size)
    inside = None if boxes is None else coverage(boxes, size, stride)
    return to_unit(principal_map(joined, inside).clamp(min=0))


def to_unit(heat: Tensor) -> Tensor:
    """Divided by its maximum, if that is above zero."""
    return heat / heat.max().clamp(min=1e-12)


def heat_inside(
    heat: Tensor, stride: int, boxes: Tensor, size: tuple[int, int]
) -> tuple[float, float]:
    """Share of `heat` (h, w) inside any of `boxes` (n, 4), and share of the image that they cover.

    In network pixels, each pixel with the heat of its cell.
    """
    pixels = heat.repeat_interleave(stride, 0).repeat_interleave(stride, 1)
    pixels = pixels[: size[0], : size[1]]
    inside = box_mask(boxes, size)
    total = float(pixels.sum())
    return (float(pixels[inside].sum()) / total if total else 0.0), float(inside.float().mean())


def coverage(boxes: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """(h, w) from 0 to 1: how much of each cell of an image of `size` lies in any of `boxes`."""
    rows, columns = -(-size[0] // stride), -(-size[1] // stride)
    padded = torch.zeros(rows * stride, columns * stride)
    padded[: size[0], : size[1]] = box_mask(boxes, size).float()
    return padded.unflatten(1, (columns, stride)).unflatten(0, (rows, stride)).mean((1, 3))


def box_mask(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(h, w) bool: pixels of an image of `size` whose middle lies in any of `boxes` (n, 4)."""
    y, x = torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5
    mask = torch.zeros(size, dtype=torch.bool)
    for x1, y1, x2, y2 in boxes.tolist():
        mask |= ((y >= y1) & (y <= y2))[:, None] & ((x >= x1) & (x <= x2))
    return mask
