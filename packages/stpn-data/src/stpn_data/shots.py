"""Whether the camera cut between two frames.

Support from another scene misleads a clean frame, so a cut ends the support. A cut changes both the
colours and the layout of a frame. Motion changes the layout but hardly the colours, and light,
noise or compression change the colours but not the layout; so both must have changed.

The limits were set on real videos: of consecutive frames none exceeds a colour distance of 0.25,
and frames of different scenes are above 0.32 with a layout likeness below 0.71.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

COLOUR_LIMIT = 0.3  # share of the pixels whose colour has gone
LAYOUT_LIMIT = 0.72  # correlation of brightness

_GRID = 64  # pixels looked at per side
_BLOCK = 8  # of those, averaged into one cell of the layout
_LEVELS = 8  # per colour channel


def shot_changed(previous: Tensor, frame: Tensor) -> bool:
    """Whether a cut lies between two frames, uint8 (3,H,W). Another size counts as a cut."""
    if previous.shape != frame.shape:
        return True
    a, b = _sample(previous), _sample(frame)
    return colour_distance(a, b) > COLOUR_LIMIT and layout_likeness(a, b) < LAYOUT_LIMIT


def colour_distance(a: Tensor, b: Tensor) -> float:
    """0 (the same colours, wherever they are) to 1 (none in common); uint8 (3,H,W)."""
    return float((_colours(a) - _colours(b)).abs().sum() / 2)


def layout_likeness(a: Tensor, b: Tensor) -> float:
    """Correlation of coarse brightness, -1 to 1, whatever the exposure; uint8 (3,H,W)."""
    left, right = _layout(a), _layout(b)
    # one grey level of noise: blank frames have no layout to compare
    spread = ((left.var() + 1) * (right.var() + 1)).sqrt()
    return float((left * right).mean() / spread)


def _sample(frame: Tensor) -> Tensor:
    """A lattice of pixels, (3,_GRID,_GRID)."""
    height, width = frame.shape[-2:]
    at = torch.arange(_GRID, device=frame.device)
    return frame[:, (at * height // _GRID)[:, None], at * width // _GRID]


def _colours(frame: Tensor) -> Tensor:
    """Histogram of colours, sums to 1."""
    level = frame.long() * _LEVELS // 256
    code = (level[0] * _LEVELS + level[1]) * _LEVELS + level[2]
    return torch.bincount(code.flatten(), minlength=_LEVELS**3) / code.numel()


def _layout(frame: Tensor) -> Tensor:
    """Mean brightness per block, centred on 0."""
    weights = frame.new_tensor([0.299, 0.587, 0.114], dtype=torch.float32)
    grey = torch.einsum("c,chw->hw", weights, frame.float())
    blocks = F.avg_pool2d(grey[None], _BLOCK)
    return blocks - blocks.mean()
