"""Whether the camera cut between two frames: `stpn_data.shots` in numpy, with its limits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOUR_LIMIT = 0.3
LAYOUT_LIMIT = 0.72
_GRID, _BLOCK, _LEVELS = 64, 8, 8


def shot_changed(previous: NDArray[np.uint8], frame: NDArray[np.uint8]) -> bool:
    """Whether a cut lies between two frames, uint8 (3, H, W). Another size counts as a cut."""
    if previous.shape != frame.shape:
        return True
    a, b = _sample(previous), _sample(frame)
    colours = float(np.abs(_colours(a) - _colours(b)).sum() / 2)
    return colours > COLOUR_LIMIT and _likeness(_layout(a), _layout(b)) < LAYOUT_LIMIT


def _sample(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[-2:]
    at = np.arange(_GRID)
    return frame[:, (at * height // _GRID)[:, None], at * width // _GRID]


def _colours(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    level = frame.astype(np.int64) * _LEVELS // 256
    code = (level[0] * _LEVELS + level[1]) * _LEVELS + level[2]
    return np.bincount(code.ravel(), minlength=_LEVELS**3) / code.size


def _layout(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = np.tensordot([0.299, 0.587, 0.114], frame.astype(np.float64), axes=1)
    cells = _GRID // _BLOCK
    blocks = grey.reshape(cells, _BLOCK, cells, _BLOCK).mean((1, 3))
    return blocks - blocks.mean()


def _likeness(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    spread = np.sqrt((left.var(ddof=1) + 1) * (right.var(ddof=1) + 1))
    return float((left * right).mean() / spread)
