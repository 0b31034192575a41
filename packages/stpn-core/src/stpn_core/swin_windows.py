"""Cutting a map into shifted windows and putting it back together.

B batch, H x W map, C channels, R x S grid of windows of n = m x m tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def partition(x: Tensor, window: int, shift: int) -> Tensor:
    """(B, H, W, C) to windows (B, R, S, n, C).

    The map is padded with zeros at the right and bottom to whole windows *before* it is rolled, as
    detection backbones do (timm rolls first, which lets shifted windows wrap around the image
    border at sizes that are no multiple of the window).
    """
    height, width = x.shape[1:3]
    # Whole numbers of windows, and not what is missing to the next one, as an exporter that keeps
    # height and width open cannot see that the one divides the other.
    rows, columns = whole_windows(height, window), whole_windows(width, window)
    below, right = rows * window - height, columns * window - width
    if torch.compiler.is_exporting() or below or right:
        x = F.pad(x, (0, 0, 0, right, 0, below))
    if shift:
        x = torch.roll(x, (-shift, -shift), (1, 2))
    x = x.unflatten(2, (columns, window)).unflatten(1, (rows, window))
    return x.transpose(2, 3).flatten(3, 4)


def reverse(windows: Tensor, window: int, shift: int, height: int, width: int) -> Tensor:
    """Undo `partition`: (B, R, S, n, C) to (B, height, width, C), padding cut off."""
    x = windows.unflatten(3, (window, window)).transpose(2, 3)
    x = x.flatten(3, 4).flatten(1, 2)
    if shift:
        x = torch.roll(x, (shift, shift), (1, 2))
    return x[:, :height, :width]


def whole_windows(length: int, window: int) -> int:
    """Windows that cover `length` tokens."""
    return (length + window - 1) // window


def shift_mask(height: int, width: int, window: int, shift: int, device: torch.device) -> Tensor:
    """(R * S, n, n) float32: -100 between tokens that only the roll made neighbours, else 0.

    For maps of height x width before padding. Padding tokens are no special case: they are keys
    like any other (as in the detection code that trained the public weights).
    """
    rows = _bands(whole_windows(height, window) * window, window, shift, device)
    cols = _bands(whole_windows(width, window) * window, window, shift, device)
    region = (3 * rows[:, None] + cols)[None, :, :, None]
    region = partition(region, window, 0).flatten(0, 2).squeeze(-1)
    return (region[:, :, None] != region[:, None]) * -100.0


def _bands(length: int, window: int, shift: int, device: torch.device) -> Tensor:
    """Which of three bands each position of a rolled axis came from."""
    at = torch.arange(length, device=device)
    return (at >= length - window).int() + (at >= length - shift).int()
