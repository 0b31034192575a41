"""Boxes with names on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_vod.detections import Detections
from stpn_vod.draw_pixels import Row, detection_rows, draw_rows
from stpn_vod.draw_pixels import class_colour as class_colour


def draw_detections(
    image: Tensor, found: Detections, classes: Sequence[str], ids: Tensor | None = None
) -> Tensor:
    """A copy of `image`, uint8 (3, H, W), with the boxes of `found` (in its pixels) and their names.

    See `detection_rows`.
    """
    return draw_boxes(image, detection_rows(found, classes, ids))


def draw_boxes(image: Tensor, rows: Sequence[Row]) -> Tensor:
    """A copy of `image`, uint8 (3, H, W), with (box x1 y1 x2 y2, text, colour) drawn in order."""
    drawn = draw_rows(image.permute(1, 2, 0).cpu().numpy(), rows)
    return torch.from_numpy(drawn).permute(2, 0, 1)
