"""The page's plots, as PNG bytes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt

from stpn_core.explain.mass_pictures import png
from stpn_core.explain.prompt_mass import PromptMass
from stpn_vot.explain.follow import Way
from stpn_vot.judgement import TrackResult
from stpn_vot.metrics.overlap import box_iou
from stpn_vot.tracking_config import TrackingConfig

PROMPTED, PLAIN = "#d1495b", "#30638e"


def over_time(way: Way, config: TrackingConfig) -> bytes:
    """Score, lost signal, support frames and new templates; below, how far the boxes with prompts
    and without lie on each other."""
    both = way.plain is not None
    figure, axes = plt.subplots(
        1 + both, 1, figsize=(9.5, 4.6 if both else 3.2), layout="constrained", sharex=True,
        squeeze=False, height_ratios=[2.4, 1][: 1 + both],
    )  # fmt: skip
    top = axes[0, 0]
    numbers = np.arange(1, len(way.results) + 1)
    arms: list[tuple[Sequence[TrackResult], str, str]] = [
        (way.results, "with prompts" if both else "score", PROMPTED)
    ]
    if way.plain is not None:
        arms.insert(0, (way.plain, "without", PLAIN))
    for results, title, colour in arms:
        scores = [np.nan if one.score is None else one.score for one in results]
        top.plot(numbers, scores, color=colour, lw=1.4, marker=".", ms=3, label=title)
    for level, word in ((config.threshold, "sure"), (config.lost_below, "not seen")):
        top.axhline(level, color="#888", lw=0.8, ls="--")
        top.annotate(
            word, (1.0, level), xycoords=("axes fraction", "data"), xytext=(3, -3),
            textcoords="offset points", fontsize=8, color="#555",
        )  # fmt: skip
    lost = np.array([one.lost for one in way.results])
    if lost.any():
        top.fill_between(
            numbers, 0, 1, where=lost.tolist(), step="mid", color=PROMPTED, alpha=0.15, label="lost"
        )
    ticks = [number for number in way.support if number]
    if ticks:
        top.plot(
            ticks, [-0.04] * len(ticks), ls="", marker="|", color="#333", label="support frames"
        )
    entered = sorted({taken.start - 1 for taken in way.templates if taken.start > 1})
    for place, number in enumerate(entered):
        top.axvline(number, color="#edae49", lw=1, label=None if place else "a template renewed")
    top.set(ylabel="score", ylim=(-0.08, 1.04))
    top.legend(frameon=False, fontsize=8, ncols=5, loc="lower left", bbox_to_anchor=(0, 1.0))
    if way.plain is not None:
        boxes = [np.array([one.box for one in arm]) for arm in (way.results, way.plain)]
        axes[1, 0].plot(numbers, box_iou(boxes[0], boxes[1]), color="#333", lw=1.2)
        axes[1, 0].set(ylabel="IoU of the two", ylim=(0, 1.04))
    axes[-1, 0].set_xlabel("frame")
    for axis in axes[:, 0]:
        axis.spines[["top", "right"]].set_visible(False)
    return png(figure)


def shares_by_block(frames: Sequence[Sequence[PromptMass]]) -> bytes:
    """Where the attention of the search region goes, block by block, mean of the frames: templates,
    prompts, the region itself."""
    blocks = [one.block for one in frames[0]]
    mean = {
        "templates": [np.mean([float(f[i].beside.mean()) for f in frames if f[i].beside is not None])  # type: ignore[union-attr]
                      for i in range(len(blocks))],
        "prompts": [np.mean([float(f[i].mass.mean()) for f in frames]) for i in range(len(blocks))],
    }  # fmt: skip
    own = 1 - np.sum([*mean.values()], axis=0)
    figure, axis = plt.subplots(
        figsize=(max(5.0, 0.42 * len(blocks) + 2), 3.2), layout="constrained"
    )
    places, bottom = np.arange(len(blocks)), np.zeros(len(blocks))
    parts = (("templates", PLAIN), ("prompts", PROMPTED), ("the search region itself", "#ddd"))
    for (name, colour), share in zip(parts, (*mean.values(), own), strict=True):
        axis.bar(
            places, 100 * np.asarray(share), bottom=bottom, color=colour, label=name, width=0.8
        )
        bottom += 100 * np.asarray(share)
    axis.set_xticks(places, blocks, rotation=35, ha="right", fontsize=8)
    axis.set(ylabel="attention, %", ylim=(0, 100))
    axis.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0))
    axis.spines[["top", "right"]].set_visible(False)
    return png(figure)
