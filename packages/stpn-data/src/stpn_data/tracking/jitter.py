"""Search crops off the target, as in training, and where the target is in them (MixFormer)."""

from __future__ import annotations

import math

from stpn_data.tracking.crops import Box


def jittered_box(
    box: Box,
    scale: float,
    centre: float,
    normal: tuple[float, float],
    uniform: tuple[float, float],
) -> Box:
    """A box moved and resized at random, on which a training crop is centred.

    w and h are multiplied by exp(scale * normal); the centre moves by centre * sqrt(w' h') *
    (uniform - 0.5). normal, uniform: draws for x and y; uniform from 0 to 1.
    """
    w, h = (box[2 + i] * math.exp(scale * normal[i]) for i in (0, 1))
    reach = centre * math.sqrt(w * h)
    x, y = (box[i] + 0.5 * box[2 + i] + reach * (uniform[i] - 0.5) for i in (0, 1))
    return (x - 0.5 * w, y - 0.5 * h, w, h)


def box_in_crop(box: Box, around: Box, size: int, scale: float, *, parity: bool = True) -> Box:
    """A box in sides of the crop that is centred on the box `around`.

    parity: the crop's centre is at (size - 1) / 2, as MixFormer is trained, though it tracks with
    size / 2 (`map_back`): half a pixel of the crop. False: size / 2 here, too.
    """
    middle = (size - 1) / 2 if parity else size / 2
    offsets = (
        (box[i] + 0.5 * box[2 + i] - around[i] - 0.5 * around[2 + i]) * scale for i in (0, 1)
    )
    x, y = (middle + offset for offset in offsets)
    w, h = box[2] * scale, box[3] * scale
    return ((x - 0.5 * w) / size, (y - 0.5 * h) / size, w / size, h / size)
