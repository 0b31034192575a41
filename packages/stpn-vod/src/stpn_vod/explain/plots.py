"""The page's plots, as PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt

from stpn_core.explain.mass_pictures import png
from stpn_vod.draw import class_colour


@dataclass(frozen=True, eq=False)
class Panel:
    """Objects of one speed group as one detector sees them: points (n, 2) and labels (n,)."""

    title: str
    points: NDArray[np.float32]
    labels: NDArray[np.int64]


def scatter(rows: Sequence[Sequence[Panel]], classes: Sequence[str]) -> bytes:
    """Panels in rows (speed groups) and columns (detectors), coloured by class, one legend."""
    columns = max(map(len, rows))
    present = sorted({int(label) for row in rows for panel in row for label in panel.labels})
    legend_rows = -(-len(present) // 6)
    height = 2.9 * len(rows) + 0.28 * legend_rows
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(3.9 * columns, height), layout="constrained", squeeze=False
    )
    for row, line in zip(rows, axes, strict=True):
        for panel, axis in zip(row, line, strict=False):
            for label in present:
                mine = panel.points[panel.labels == label]
                axis.scatter(*mine.T, s=9, color=_colour(label), linewidths=0)
            axis.set_title(panel.title, fontsize=9)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_color("#bbb")
    marks = [plt.Line2D([], [], ls="", marker="o", color=_colour(label)) for label in present]
    names = [classes[i] for i in present]
    figure.legend(
        marks,
        names,
        loc="outside lower center",
        ncols=min(6, len(names)),
        frameon=False,
        fontsize=9,
    )
    return png(figure)


def _colour(label: int) -> tuple[float, float, float]:
    """The colour of a class in pictures, darker: on white."""
    red, green, blue = (0.88 * part / 255 for part in class_colour(label))
    return red, green, blue
