"""From mask logits at a quarter of the network's size to masks of the file's size, in numpy.

`stpn_vis.full_size` enlarges, crops and resizes; each is linear along both axes, so all three are
one matrix for the rows and one for the columns.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Size = tuple[int, int]


def full_size_logits(
    logits: NDArray[Any], padded: Size, size: Size, original: Size
) -> NDArray[np.float32]:
    """Logits (k, h, w) to (k, *original); see `stpn_vis.full_size.full_size_logits`."""
    rows, columns = (
        _weights(*lengths) for lengths in zip(logits.shape[1:], padded, size, original, strict=True)
    )
    large = np.empty((len(logits), *original), np.float32)
    for one, mask in zip(large, logits, strict=True):
        np.matmul(rows @ mask, columns.T, out=one)
    return large


@lru_cache(maxsize=16)
def _weights(length: int, padded: int, size: int, original: int) -> NDArray[np.float32]:
    """(original, length): what each cell of the map adds to each pixel of the file."""
    return (_bilinear(size, original) @ _bilinear(length, padded)[:size]).astype(np.float32)


def _bilinear(source: int, target: int) -> NDArray[np.float64]:
    """(target, source): bilinear resizing along one axis, pixels' centres at halves."""
    at = np.maximum((np.arange(target) + 0.5) * source / target - 0.5, 0.0)
    first = np.minimum(at.astype(np.int64), source - 1)
    beyond = at - first
    weights = np.zeros((target, source))
    np.add.at(weights, (np.arange(target), first), 1 - beyond)
    np.add.at(weights, (np.arange(target), np.minimum(first + 1, source - 1)), beyond)
    return weights
