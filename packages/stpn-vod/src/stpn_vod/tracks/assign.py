"""Who goes with whom: the pairs with the largest total likeness, some of them forbidden."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError

_FORBIDDEN = 10.0  # a cost that no two allowed pairs together reach


def require_lap() -> Any:
    """The module `lap`. Raises InputError with the command that installs it."""
    try:
        import lap
    except ImportError as error:
        raise InputError(
            "tracks need the package lap: python -m pip install 'stpn-vod[tracks]'"
        ) from error
    return lap


def assign(
    likeness: NDArray[np.float64], allowed: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the chosen pairs, ascending rows, none twice.

    likeness (R, C): finite, from 0 to 1. allowed (R, C): pairs that may be chosen. Both sides may
    stay without a partner; a pair of likeness 0 is not chosen.
    """
    allowed = allowed & (likeness > 0)
    rows = np.flatnonzero(allowed.any(1))
    columns = np.flatnonzero(allowed.any(0))
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    inside = np.ix_(rows, columns)  # lap pads to a square: leave out who has no choice anyway
    cost = np.where(allowed[inside], 1 - likeness[inside], _FORBIDDEN)
    _, partner, _ = require_lap().lapjv(cost, extend_cost=True, cost_limit=1.0)
    chosen = partner >= 0
    return rows[chosen], columns[partner[chosen]]


def overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every pair, (R, 4) and (C, 4) x1, y1, x2, y2 -> (R, C) in [0, 1]; 0
    for boxes without area."""
    top_left = np.maximum(first[:, None, :2], second[None, :, :2])
    bottom_right = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (bottom_right - top_left).clip(min=0).prod(-1)
    union = _areas(first)[:, None] + _areas(second)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(-1)
