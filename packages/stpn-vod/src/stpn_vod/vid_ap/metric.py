"""A number that says by which definition it was computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lineage:
    """One of the definitions of AP50, and the published numbers that share it."""

    name: str
    definition: str
    comparable_with: str
    quirks: tuple[str, ...]  # everything that moves the number and that a reader might not expect


@dataclass(frozen=True)
class Metric:
    """A value in 0..1; -1 where the definition gives none, because nothing is annotated."""

    name: str  # "AP50", "AP50/slow", "AP50/dog", "AP50/slow/dog"
    value: float
    lineage: Lineage


def metrics_of(
    precisions: NDArray[np.float64],
    groups: Sequence[str],
    classes: Sequence[str],
    lineage: Lineage,
) -> Iterator[Metric]:
    """Yield the mean of every group, then every class in it, from average precisions (G, C).

    A group named "" is the whole. Classes at -1 (no annotation in the group) are left out of means.
    """
    names = [f"AP50/{group}" if group else "AP50" for group in groups]
    for name, row in zip(names, precisions, strict=True):
        defined = row[row >= 0]
        yield Metric(name, float(defined.mean()) if len(defined) else -1.0, lineage)
    for name, row in zip(names, precisions, strict=True):
        for class_name, value in zip(classes, row.tolist(), strict=True):
            yield Metric(f"{name}/{class_name}", value, lineage)
