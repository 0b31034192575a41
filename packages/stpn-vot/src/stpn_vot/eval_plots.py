"""Curves of `stpn vot eval`, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib

from stpn_vot.metrics.got10k import THRESHOLDS, Got10k
from stpn_vot.metrics.one_pass import OVERLAPS, PIXELS, SIDES, Convention, OnePass

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STILL_STYLE: dict[str, Any] = {"color": "#555", "ls": "--"}


def success_plot(rows: Mapping[str, Got10k], still: str) -> bytes:
    """GOT-10k's success curve of each tracker; `still` names the row of the box that never moves."""
    figure, axis = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
    for name, row in rows.items():
        style = _style(name, still)
        axis.plot(THRESHOLDS, 100 * row.curve, label=f"{name}: AO {100 * row.ao:.1f}", **style)
    for overlap in (0.5, 0.75):
        axis.axvline(overlap, color="#ccc", lw=0.8, zorder=0)
    _finish(axis, "overlap above", "frames, %", (0, 1))
    axis.set_title("GOT-10k: success", fontsize=10)
    return _png(figure)


def one_pass_plot(rows: Mapping[str, OnePass], convention: Convention, still: str) -> bytes:
    """Success, precision and normalised precision of each tracker under one convention."""
    family = "analysis" if convention.analysis else "toolkit"
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for name, row in rows.items():
        style = _style(name, still)
        for axis, places, curve, score in (
            (axes[0], OVERLAPS[family], row.success, f"AUC {100 * row.auc:.1f}"),
            (axes[1], PIXELS, row.pixels, f"P@20px {100 * row.precision:.1f}"),
            (axes[2], SIDES[family], row.sides, f"{100 * row.norm_precision:.1f}"),
        ):
            axis.plot(places, 100 * curve, label=f"{name}: {score}", **style)
    norm = "at 0.20" if convention.analysis else "mean of the curve"
    axes[1].axvline(20, color="#ccc", lw=0.8, zorder=0)
    if convention.analysis:
        axes[2].axvline(0.2, color="#ccc", lw=0.8, zorder=0)
    _finish(axes[0], "overlap above", "frames, % (mean over sequences)", (0, 1))
    _finish(axes[1], "centre at most so many pixels off", "", (0, 50))
    _finish(axes[2], "centre at most so many sides of the box off", "", (0, 0.5))
    axes[0].set_title("success", fontsize=10)
    axes[1].set_title("precision", fontsize=10)
    axes[2].set_title(f"normalised precision ({norm})", fontsize=10)
    figure.suptitle(f"convention {convention.name}", fontsize=11)
    return _png(figure)


def _style(name: str, still: str) -> dict[str, Any]:
    return STILL_STYLE if name == still else {}


def _finish(axis: Axes, x: str, y: str, limits: tuple[float, float]) -> None:
    high = axis.get_ylim()[1]
    axis.set(xlabel=x, ylabel=y, xlim=limits, ylim=(0, max(102, high)))
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()
