"""What every prompt predictor has in common.

Shapes: B batch, K support frames, h x w grid of a frame's tokens, C their channels, P prompts.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stpn_core.encoder import Prompts
from stpn_core.errors import InputError


class PromptPredictor(nn.Module):
    """Turns support tokens into prompts.

    support_dim: channels C of the support tokens.
    num_prompts: P.
    """

    support_dim: int
    num_prompts: int

    def forward(self, support: Tensor, valid: Tensor | None = None) -> Prompts:
        """Support tokens (B, K, h, w, C) to prompts (B, P, D0); deep: one (B, P, D_i) per block.

        valid (B, K) bool: frames marked False change nothing, even if they hold NaN. None: all are
        valid. The order of the frames does not matter. A row without any valid frame gives finite
        prompts that mean nothing. Raises InputError on a wrong shape.
        """
        raise NotImplementedError


def checked(support: Tensor, valid: Tensor | None, support_dim: int) -> Tensor:
    """The support tokens with those of invalid frames set to zero.

    Zero as well as masked later: a mask alone lets a NaN through (0 * NaN). Raises InputError
    unless support is (B, K, h, w, support_dim) and valid None or (B, K) bool.
    """
    if support.ndim != 5 or support.shape[-1] != support_dim:
        raise InputError(
            f"support tokens must be (B, K, h, w, {support_dim}), got {tuple(support.shape)}"
        )
    if valid is None:
        return support
    if valid.shape != support.shape[:2] or valid.dtype != torch.bool:
        raise InputError(
            f"valid must be bool of shape {tuple(support.shape[:2])}, "
            f"got {valid.dtype} of shape {tuple(valid.shape)}"
        )
    return support.masked_fill(~valid[:, :, None, None, None], 0)


def mean_over_frames(x: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over dim 1 of x (B, K, ...), whose invalid frames are zero; zero where none is valid."""
    if valid is None:
        return x.mean(1)
    count = valid.sum(1).clamp(min=1).to(x.dtype)
    return x.sum(1) / count.reshape(-1, *[1] * (x.ndim - 2))
