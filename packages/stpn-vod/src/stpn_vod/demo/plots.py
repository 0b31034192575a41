"""The demo's plots, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from stpn_vod.demo.report import Arm

COLOURS = ("#8c8c8c", "#d1495b", "#edae49", "#00798c")


def ap_by_severity(arms: Sequence[Arm], bins: Sequence[str]) -> bytes:
    """AP50 of each arm over the severity bins."""
    figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for arm, colour in zip(arms, COLOURS, strict=False):
        values = [100 * arm.scores[name]["AP50"] for name in bins]
        axis.plot(bins, values, marker="o", label=arm.title, color=colour)
        for x, value in enumerate(values):
            axis.annotate(f"{value:.0f}", (x, value), (0, 6), textcoords="offset points",
                          ha="center", fontsize=8, color=colour)  # fmt: skip
    axis.set(xlabel="degradation of the frame", ylabel="AP50", ylim=(0, 108))
    axis.legend(frameon=False, loc="lower left")
    axis.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def losses(arms: Sequence[Arm]) -> bytes:
    """Detection loss of each arm while it trained; the auxiliary loss is left out of the sum."""
    figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
    for arm, colour in zip(arms, COLOURS, strict=False):
        rows = [row for row in arm.metrics if "loss" in row]
        values = [row["loss"] - row.get("loss_prompt_aux", 0.0) for row in rows]
        axis.plot([row["step"] for row in rows], values, label=arm.title, color=colour, lw=1)
    axis.set(xlabel="step", ylabel="detection loss", ylim=(0, None))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    return buffer.getvalue()
