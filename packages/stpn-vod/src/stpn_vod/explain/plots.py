"""The page's plots, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from stpn_core.explain import PromptMass
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
    return _png(figure)


def mass_by_block(frames: Sequence[Sequence[PromptMass]]) -> bytes:
    """Share of the attention that goes to prompts, block by block: each frame, their mean, and what
    even attention would give."""
    blocks = [one.block for one in frames[0]]
    shares = np.array([[100 * float(one.mass.mean()) for one in frame] for frame in frames])
    even = [
        100 * float(np.mean([frame[i].even.mean() for frame in frames])) for i in range(len(blocks))
    ]
    figure, axis = plt.subplots(
        figsize=(max(5.0, 0.42 * len(blocks) + 2), 3.2), layout="constrained"
    )
    places = np.arange(len(blocks))
    axis.plot(places, shares.T, color="#d1495b", alpha=0.35, lw=1)
    axis.plot(places, shares.mean(0), color="#d1495b", marker="o", label="mean of the frames above")
    axis.plot(places, even, color="#555", ls="--", label="if all were looked at alike")
    axis.set_xticks(places, blocks, rotation=35, ha="right", fontsize=8)
    axis.set(ylabel="attention on prompts, %", ylim=(0, None))
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _colour(label: int) -> tuple[float, float, float]:
    """The colour of a class in pictures, darker: on white."""
    red, green, blue = (0.88 * part / 255 for part in class_colour(label))
    return red, green, blue


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()
