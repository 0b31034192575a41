"""Boxes of targets on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_vot.draw_pixels import draw_on_pixels
from stpn_vot.draw_pixels import target_colour as target_colour
from stpn_vot.judgement import TrackResult


def draw_targets(image: Tensor, results: Sequence[TrackResult]) -> Tensor:
    """A copy of `image`, uint8 (3, H, W), with the boxes; see `draw_on_pixels`."""
    drawn = draw_on_pixels(image.permute(1, 2, 0).cpu().numpy(), results)
    return torch.from_numpy(drawn).permute(2, 0, 1)
