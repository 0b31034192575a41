"""Random weights from which a small tracker learns."""

from __future__ import annotations

from torch import nn

from stpn_core.cvt import CvtEncoder


def start_afresh(encoder: CvtEncoder) -> None:
    """Give an encoder without weights from elsewhere random ones that keep the scale of its tokens.

    CvT's own deviation of 0.02 is made for wide networks that are trained for long. In a small one
    attention then is uniform and adds next to nothing, so that search regions do not see templates.
    """
    for layer in encoder.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
        elif isinstance(layer, nn.Conv2d) and layer.groups > 1:  # in front of queries, keys, values
            nn.init.normal_(layer.weight, std=(layer.kernel_size[0] * layer.kernel_size[1]) ** -0.5)
