"""Boxes of targets on an array of pixels; needs no torch."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stpn_vot.judgement import TrackResult


def target_colour(number: int) -> tuple[int, int, int]:
    """A colour for a target's number; neighbours differ strongly, and it never changes."""
    hue = (number * 0.61803398875) % 1  # golden ratio: even spread for any number of targets
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_on_pixels(pixels: NDArray[np.uint8], results: Sequence[TrackResult]) -> NDArray[np.uint8]:
    """A copy of `pixels`, uint8 (H, W, 3), with the boxes, numbered from 1.

    A lost target's box is thin and says so.
    """
    page = Image.fromarray(np.array(pixels, copy=True, order="C"))
    pen = ImageDraw.Draw(page)
    thick = max(2, min(page.size) // 200)
    font = ImageFont.load_default(max(9, min(page.size) // 28))
    for number, result in enumerate(results, start=1):
        x, y, w, h = result.box
        colour = target_colour(number)
        corners = (x, y, max(x, x + w - 1), max(y, y + h - 1))
        pen.rectangle(corners, outline=colour, width=1 if result.lost else thick)
        score = "" if result.score is None else f" {result.score:.2f}"
        text = f"{number}{' lost' if result.lost else ''}{score}"
        left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
        wide, high = right - left + 4, bottom - top + 4
        # inside the picture, above the box where there is room
        left_edge = min(max(0, x), max(0, page.size[0] - wide))
        upper = y - high if y >= high else y + thick
        upper = min(max(0, upper), max(0, page.size[1] - high))
        pen.rectangle((left_edge, upper, left_edge + wide, upper + high), fill=colour)
        pen.text((left_edge + 2 - left, upper + 2 - top), text, fill=(0, 0, 0), font=font)
    return np.asarray(page).copy()
