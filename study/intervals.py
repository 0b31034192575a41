"""Mean and 95 % interval over a few repetitions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# 97.5 % quantile of Student's t for 1, 2, 3 ... degrees of freedom
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179)


@dataclass(frozen=True)
class Interval:
    """mean ± half with 95 % confidence; half is None for a single value, which has no interval."""

    mean: float
    half: float | None
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside; a single value excludes nothing."""
        return self.half is not None and abs(self.mean) > self.half


def interval(values: Sequence[float]) -> Interval:
    """Student's interval, which takes repetitions as independent draws of a normal variable."""
    count = len(values)
    mean = statistics.fmean(values)
    if count < 2:
        return Interval(mean, None, count)
    quantile = _T[min(count - 1, len(_T)) - 1]
    return Interval(mean, quantile * statistics.stdev(values) / math.sqrt(count), count)
