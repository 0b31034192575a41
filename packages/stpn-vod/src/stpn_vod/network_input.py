"""From a frame at network size to what the network takes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from stpn_data.batch import normalise
from stpn_vod.build import Detector


def to_network(model: Detector, image: Tensor) -> Tensor:
    """uint8 (3, h, w) to normalised (3, H, W) on the model's device, zero-padded right and below to
    multiples of `model.pad_to`, as in training."""
    height, width = image.shape[1:]
    padding = (0, -width % model.pad_to, 0, -height % model.pad_to)
    return F.pad(normalise(image.to(next(model.parameters()).device)), padding)
