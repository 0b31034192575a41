"""Masks with names on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_vis.draw_pixels import draw_found
from stpn_vis.draw_pixels import instance_colour as instance_colour
from stpn_vis.instances import Instances


def draw_instances(image: Tensor, found: Instances, classes: Sequence[str]) -> Tensor:
    """A copy of `image`, uint8 (3, H, W), with the masks of `found`, outlined, numbered and named.

    Weakest first, so that the best lies on top.
    """
    drawn = draw_found(image.permute(1, 2, 0).cpu().numpy(), found.arrays(), classes)
    return torch.from_numpy(drawn).permute(2, 0, 1)
