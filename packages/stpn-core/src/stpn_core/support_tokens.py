"""Support tokens of frames that are encoded without prompts anyway."""

from __future__ import annotations

from torch import Tensor

from stpn_core.encoder import PromptedEncoder
from stpn_core.features import Features
from stpn_core.swin import SwinEncoder


def support_tokens(encoder: PromptedEncoder, features: Features, frames: Tensor) -> Tensor:
    """Support tokens (n, h, w, C) of encoded frames, without a second pass where a map holds them."""
    if isinstance(encoder, SwinEncoder) and encoder.out_indices[-1] == len(encoder.body.layers) - 1:
        return features.maps[-1].permute(0, 2, 3, 1)
    return encoder.embed(frames)
