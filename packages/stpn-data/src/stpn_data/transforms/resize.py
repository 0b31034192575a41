"""Resizing uint8 images."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from stpn_data.fit import Resampling as Resampling
from stpn_data.fit import fit as fit


def resize(images: Tensor, size: tuple[int, int], resampling: Resampling = "antialias") -> Tensor:
    """uint8 (..., 3, H, W) to uint8 (..., 3, *size), bilinear.

    resampling: "antialias" filters when it shrinks, as Pillow does (within one level);
    "cv2" does not, as OpenCV's INTER_LINEAR, on which the released numbers rest.
    """
    if images.shape[-2:] == size:
        return images
    flat = images.reshape(-1, *images.shape[-3:])
    out = F.interpolate(
        flat, size=size, mode="bilinear", align_corners=False, antialias=resampling == "antialias"
    )
    return out.reshape(*images.shape[:-2], *size)


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of `image` (3, H, W) in the ratio of `size`, resized to it.

    For a support frame whose size differs from the key frame's: nothing is stretched.
    """
    if image.shape[-2:] == size:
        return image
    height, width = image.shape[-2:]
    factor = min(height / size[0], width / size[1])
    h, w = max(1, int(size[0] * factor)), max(1, int(size[1] * factor))
    top, left = (height - h) // 2, (width - w) // 2
    return resize(image[:, top : top + h, left : left + w], size)
