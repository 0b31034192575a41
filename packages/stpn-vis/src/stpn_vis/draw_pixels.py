"""Masks with names on pixels; needs no torch."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stpn_vis.found import Found

_OPACITY = 0.45


def instance_colour(number: int) -> tuple[int, int, int]:
    """A colour for an object's number; neighbours differ strongly, and it never changes."""
    hue = (number * 0.61803398875) % 1  # golden ratio: even spread for any number of objects
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_found(
    pixels: NDArray[np.uint8], found: Found, classes: Sequence[str]
) -> NDArray[np.uint8]:
    """A copy of `pixels`, uint8 (H, W, 3), with the masks of `found`, outlined, numbered and named.

    Weakest first, so that the best lies on top.
    """
    picture = pixels.copy()
    boxes = found.boxes().tolist()
    for i in reversed(range(len(found))):
        colour = np.array(instance_colour(int(found.ids[i])), np.float32)
        # the mask's own part of the picture, and a table of the 256 results: far quicker
        left, top, right, bottom = (int(edge) for edge in boxes[i])
        place = np.s_[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
        mask, part = found.masks[i][place], picture[place]
        blended = (1 - _OPACITY) * np.arange(256)[:, None] + _OPACITY * colour
        for channel, table in enumerate(blended.astype(np.uint8).T):
            np.copyto(part[..., channel], table.take(part[..., channel]), where=mask)
        part[_outline(mask)] = colour.astype(np.uint8)
    page = Image.fromarray(picture)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(max(9, min(page.size) // 28))
    for i in reversed(range(len(found))):
        text = f"{int(found.ids[i])} {classes[int(found.labels[i])]} {float(found.scores[i]):.2f}"
        _label(pen, page.size, font, boxes[i], text, instance_colour(int(found.ids[i])))
    return np.asarray(page).copy()


def _outline(mask: np.ndarray) -> np.ndarray:
    """Pixels of a mask that touch a pixel outside; the picture's border is no outline."""
    around = np.pad(mask, 1, mode="edge")
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return mask & ~inner


def _label(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    box: Sequence[float],
    text: str,
    colour: tuple[int, int, int],
) -> None:
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    x = min(max(0, box[0]), max(0, size[0] - (right - left) - 4))
    y = box[1] - (bottom - top) - 5
    y = y if y >= 0 else max(0, min(box[1] + 1, size[1] - (bottom - top) - 5))
    pen.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=colour)
    pen.text((x + 2 - left, y + 2 - top), text, fill=(0, 0, 0), font=font)
