"""Boxes with names on a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stpn_vod.detections import Detections


def class_colour(label: int) -> tuple[int, int, int]:
    """A colour for class or track number `label`; neighbours differ strongly, and it never changes."""
    hue = (label * 0.61803398875) % 1  # golden ratio: even spread for any number of classes
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_detections(
    image: Tensor, found: Detections, classes: Sequence[str], ids: Tensor | None = None
) -> Tensor:
    """A copy of `image`, uint8 (3, H, W), with the boxes of `found` (in its pixels) and their names.

    Weakest first, so that the best box lies on top. Line and letters grow with the picture. ids:
    track numbers (n,); then a box has its number's colour, which stays for the whole video, instead
    of its class's.
    """
    names = [classes[label] for label in found.labels.tolist()]
    if ids is None:
        colours = [class_colour(label) for label in found.labels.tolist()]
    else:
        names = [f"{i} {name}" for i, name in zip(ids.tolist(), names, strict=True)]
        colours = [class_colour(i) for i in ids.tolist()]
    rows = [
        (box, f"{name} {score:.2f}", colour)
        for box, name, score, colour in zip(
            found.boxes.tolist(), names, found.scores.tolist(), colours, strict=True
        )
    ]
    return draw_boxes(image, rows[::-1])


def draw_boxes(
    image: Tensor, rows: Sequence[tuple[Sequence[float], str, tuple[int, int, int]]]
) -> Tensor:
    """A copy of `image`, uint8 (3, H, W), with (box x1 y1 x2 y2, text, colour) drawn in order."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    pen = ImageDraw.Draw(picture)
    size = max(9, min(picture.size) // 28)
    font = ImageFont.load_default(size)
    width = max(1, min(picture.size) // 240)
    for box, text, colour in rows:
        x1, y1, x2, y2 = box
        if x2 < x1 or y2 < y1:  # Pillow refuses; such a box has nothing to show
            continue
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=width)
        if text:
            left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
            x = min(max(0, x1), max(0, picture.width - (right - left) - 4))
            y = y1 - (bottom - top) - 5
            y = y if y >= 0 else min(y1 + width, picture.height - (bottom - top) - 5)
            pen.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=colour)
            pen.text((x + 2 - left, y + 2 - top), text, fill=(0, 0, 0), font=font)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
