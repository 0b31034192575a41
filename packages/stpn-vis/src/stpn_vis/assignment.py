"""The cheapest one-to-one assignment; needs no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

EPS = 1e-6  # a query of length 0 is like no other instead of not a number


def assign(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row in the cheapest one-to-one assignment of a square matrix.

    By `lap` where it is installed, which is two to three times as fast at 100 x 100, else by SciPy.
    """
    try:
        import lap
    except ImportError:
        return linear_sum_assignment(cost)[1].astype(np.int64)
    return np.asarray(lap.lapjv(cost)[1], np.int64)
