"""Frames with boxes, for the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from stpn_core.explain.pictures import scaled

HEIGHT = 288  # pixels of a frame on the page

Colour = tuple[int, int, int]


def with_boxes(image: Tensor, boxes: Tensor, colours: Sequence[Colour]) -> Tensor:
    """The image at HEIGHT with its boxes (n, 4), given in its own pixels, the first on top."""
    picture = Image.fromarray(scaled(image, HEIGHT).permute(1, 2, 0).contiguous().numpy())
    pen = ImageDraw.Draw(picture)
    factor = HEIGHT / image.shape[1]
    for box, colour in reversed(list(zip(boxes.tolist(), colours, strict=True))):
        corners = [side * factor for side in box]
        if corners[2] >= corners[0] and corners[3] >= corners[1]:  # Pillow refuses others
            pen.rectangle(corners, outline=colour, width=3)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
