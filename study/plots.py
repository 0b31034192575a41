"""The plots of the page. Points are single seeds; bars are 95 % intervals."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt

from study.arms import ARMS, MAIN, TWIN
from study.results import OWN, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREY, RED, AMBER, TEAL = "#8c8c8c", "#d1495b", "#edae49", "#00798c"
OTHERS = (AMBER, TEAL, "#6a4c93", "#588157", "#bc6c25", "#3d5a80", "#e07a5f", "#2b2d42")
DASHES = ("-", "--", ":")
SHOWN = ("clean", "mild", "medium", "severe")


def severity(results: Results) -> Figure:
    """AP50 over severity, of arms with every seed: means over other seeds are no match."""
    figure, axis = plt.subplots(figsize=(7.5, 4), layout="constrained")
    arms = results.complete
    for place, arm in enumerate(arms):
        known = [
            (x, value.mean)
            for x, name in enumerate(SHOWN)
            if (value := results.absolute(arm, "severity", name)) is not None
        ]
        axis.plot(*zip(*known, strict=True), marker="o", ms=4, label=ARMS[arm].title,
                  lw=2.4 if arm in (TWIN, MAIN) else 1.3, **_line(arm, place))  # fmt: skip
    axis.set_xticks(range(len(SHOWN)), SHOWN)
    axis.set(xlabel="degradation of the frame", ylabel="AP50, mean over seeds", ylim=(0, 103))
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return _bare(figure)


def gains(results: Results) -> Figure:
    """Paired difference to the twin on degraded and on clean frames, every arm."""
    arms = [arm for arm in results.arms if arm != TWIN][::-1]
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 1 + 0.3 * len(arms)), sharey=True, sharex=True, layout="constrained"
    )
    for axis, name in zip(axes, ("degraded", "clean"), strict=True):
        for y, arm in enumerate(arms):
            _gain_row(axis, results, arm, y, "severity", name)
        axis.axvline(0, color=GREY, lw=1)
        axis.set(xlabel=f"AP50 − twin, {name} frames")
    axes[0].set_yticks(range(len(arms)), [ARMS[arm].title for arm in arms], fontsize=8)
    return _bare(figure)


def speed(results: Results) -> Figure:
    """Paired difference to the twin on degraded frames by speed."""
    arms = [arm for arm in results.complete if arm != TWIN][::-1]
    figure, axes = plt.subplots(
        1, 3, figsize=(10, 1 + 0.3 * len(arms)), sharey=True, sharex=True, layout="constrained"
    )
    for axis, name in zip(axes, ("slow", "medium", "fast"), strict=True):
        for y, arm in enumerate(arms):
            _gain_row(axis, results, arm, y, "degraded speed", name)
        axis.axvline(0, color=GREY, lw=1)
        axis.set(xlabel=f"AP50 − twin, {name} objects")
    axes[0].set_yticks(range(len(arms)), [ARMS[arm].title for arm in arms], fontsize=8)
    return _bare(figure)


def curves(results: Results) -> Figure:
    """While training: AP50 on degraded frames, detection loss, auxiliary loss; mean over seeds."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
    arms = results.complete
    for place, arm in enumerate(arms):
        look = _line(arm, place) | {"lw": 2.2 if arm in (TWIN, MAIN) else 1.1}
        records = list(results.records[arm].values())
        points = _mean_by_step([record["curve"] for record in records], lambda r: r["degraded"])
        axes[0].plot(list(points), [100 * v for v in points.values()], marker="o", ms=3,
                     label=ARMS[arm].title, **look)  # fmt: skip
        losses = [record["losses"] for record in records]
        own = _mean_by_step(losses, lambda r: r["loss"] - r.get("loss_prompt_aux", 0.0))
        axes[1].plot(list(own), _smooth(list(own.values())), **look)
        if "loss_prompt_aux" in losses[0][-1] and ARMS[arm].model.get("prompt_aux", 1.0) == 1:
            for run in losses if arm == MAIN else [_joined(losses)]:
                aux = _mean_by_step([run], lambda r: r.get("loss_prompt_aux", 0.0))
                axes[2].plot(list(aux), _smooth(list(aux.values()), 5), **look)
    axes[0].set(xlabel="step", ylabel="AP50, degraded frames (a fifth of them)")
    axes[1].set(xlabel="step", ylabel="detection loss")
    axes[2].set(xlabel="step", ylabel="auxiliary loss (main arm: each seed)", ylim=(0, None))
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return _bare(figure)


def ablations(results: Results) -> Figure:
    """Stride and number of support frames of the main arm's test, number of prompts."""
    tests = results.tests(MAIN)
    seeds = results.seeds_with(MAIN, "none")
    strides = sorted([(int(t[2:]), MAIN, t) for t in tests if t[:2] == "S="] + [(8, MAIN, OWN)])
    counts = sorted([(int(t[2:]), MAIN, t) for t in tests if t[:2] == "K="] + [(7, MAIN, OWN)])
    prompts = sorted(
        (int(ARMS[arm].model.get("num_prompts", 8)), arm, OWN)
        for arm in results.arms
        if arm == MAIN or arm.startswith("prompts_")
    )
    named = [("S, frames apart", strides), ("K, frames on each side", counts)]
    named += [("P", prompts)] * (len(prompts) > 1)
    figure, axes = plt.subplots(1, len(named), figsize=(10, 3.2), sharey=True, layout="constrained")
    for axis, (label, cases) in zip(axes, named, strict=True):
        for name, colour in (("clean", TEAL), ("degraded", RED)):
            known = [
                (x, value)
                for x, arm, test in cases
                if arm in results.arms
                and (
                    value := results.absolute(
                        arm, "severity", name, test, None if label == "P" else seeds
                    )
                )
                is not None
            ]
            axis.errorbar(
                [str(x) for x, _ in known],
                [value.mean for _, value in known],
                [value.half or 0 for _, value in known],
                marker="o", capsize=3, color=colour, label=f"{name} frames",
            )  # fmt: skip
        axis.set(xlabel=label, ylim=(0, 103))
    axes[0].set(ylabel="AP50, mean and 95 % interval")
    axes[0].legend(frameon=False, fontsize=8)
    return _bare(figure)


PLOTS: Mapping[str, Callable[[Results], Figure]] = {
    "severity": severity,
    "gains": gains,
    "speed": speed,
    "curves": curves,
    "ablations": ablations,
}


def png(figure: Figure) -> bytes:
    """The picture's bytes; closes the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    plt.close(figure)
    return buffer.getvalue()


def _gain_row(axis: Axes, results: Results, arm: str, y: int, group: str, name: str) -> None:
    value = results.gain(arm, group, name)
    if value is None:
        return
    colour = RED if arm == MAIN else TEAL
    axis.errorbar(value.mean, y, xerr=value.half or 0, fmt="o", ms=5, capsize=3, color=colour)
    for seed in set(results.seeds(arm)) & set(results.seeds(TWIN)):
        own, twin = (results.value(a, seed, group, name) for a in (arm, TWIN))
        if own is not None and twin is not None:
            axis.plot(own - twin, y, marker="|", ms=9, color=colour, alpha=0.6)


def _line(arm: str, place: int) -> dict[str, Any]:
    """Colour and dashes, which no two arms share."""
    if arm in (TWIN, MAIN):
        return {"color": GREY if arm == TWIN else RED, "ls": "-"}
    turn, colour = divmod(place, len(OTHERS))
    return {"color": OTHERS[colour], "ls": DASHES[turn % len(DASHES)]}


def _mean_by_step(
    runs: Sequence[Sequence[Mapping[str, float]]], value: Callable[[Mapping[str, float]], float]
) -> dict[int, float]:
    steps: dict[int, list[float]] = {}
    for run in runs:
        for row in run:
            steps.setdefault(int(row["step"]), []).append(value(row))
    return {step: sum(values) / len(values) for step, values in sorted(steps.items())}


def _joined(runs: Sequence[Sequence[Mapping[str, float]]]) -> list[Mapping[str, float]]:
    return [row for run in runs for row in run]


def _smooth(values: Sequence[float], width: int = 3) -> list[float]:
    return [
        sum(part) / len(part)
        for i in range(len(values))
        if (part := values[max(0, i - width + 1) : i + 1])
    ]


def _bare(figure: Figure) -> Figure:
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure
