"""The demo's plots, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no screen is asked for

from stpn_vot.demo.arms import Arm

COLOURS = ("#8c8c8c", "#d1495b", "#edae49", "#00798c", "#6a4c93", "#5b8e3e", "#333333")


def ao_by_severity(arms: Sequence[Arm], bins: Sequence[str]) -> bytes:
    """Average overlap of each arm over the severity bins; what learned nothing is dashed."""
    figure, axis = _figure(3.8)
    for arm, colour in zip(arms, COLOURS, strict=False):
        style = "-" if arm.training else "--"
        values = [100 * arm.by_severity[name].ao for name in bins]
        axis.plot(bins, values, marker="o", ls=style, label=arm.title, color=colour)
    axis.set(xlabel="degradation of the frame", ylabel="average overlap, %", ylim=(0, 100))
    axis.legend(frameon=False, fontsize=8, ncols=2)
    return _png(figure)


def losses(arms: Sequence[Arm]) -> bytes:
    """Loss of the boxes while training; the auxiliary loss is left out of the sum."""
    figure, axis = _figure(2.6)
    for arm, colour in zip(arms, COLOURS, strict=False):
        rows = [row for row in arm.training.metrics if "loss" in row] if arm.training else []
        values = [row["loss"] - row.get("loss_presence", 0.0) for row in rows]
        axis.plot([row["step"] for row in rows], values, label=arm.title, color=colour, lw=1)
    axis.set(xlabel="step", ylabel="loss of the boxes", ylim=(0, None))
    axis.legend(frameon=False)
    return _png(figure)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, height), layout="constrained")
    axis = figure.add_subplot()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
