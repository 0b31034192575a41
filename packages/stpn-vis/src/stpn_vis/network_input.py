"""From a frame at network size to what the network takes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stpn_data.batch import normalise

PAD_TO = 32  # frames are zero-padded to multiples of the coarsest stride, as in training


def to_network(model: nn.Module, image: Tensor) -> Tensor:
    """uint8 (3, h, w) to normalised (3, H, W) on the model's device, zero-padded right and below."""
    height, width = image.shape[1:]
    padding = (0, -width % PAD_TO, 0, -height % PAD_TO)
    return F.pad(normalise(image.to(next(model.parameters()).device)), padding)
