"""Boxes with names on an array of pixels; needs no torch."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Row = tuple[Sequence[float], str, tuple[int, int, int]]
"""A box x1, y1, x2, y2 in pixels, its text and its colour."""


def class_colour(label: int) -> tuple[int, int, int]:
    """A colour for class or track number `label`; neighbours differ strongly, and it never changes."""
    hue = (label * 0.61803398875) % 1  # golden ratio: even spread for any number of classes
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def detection_rows(found: Any, classes: Sequence[str], ids: Any = None) -> list[Row]:
    """What to draw of detections (tensors or arrays), weakest first, so that the best lies on top.

    ids: track numbers (n,); then a box has its number's colour, which stays for the whole video,
    instead of its class's.
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
    return rows[::-1]


def draw_rows(pixels: NDArray[np.uint8], rows: Sequence[Row]) -> NDArray[np.uint8]:
    """A copy of `pixels`, uint8 (H, W, 3), with the rows drawn in order.

    Line and letters grow with the picture.
    """
    picture = Image.fromarray(np.ascontiguousarray(pixels))
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
    return np.asarray(picture).copy()
