"""The tables of the page, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from study.arms import ARMS, MAIN, TWIN
from study.intervals import Interval
from study.results import OWN, Results

SEVERITIES = ("clean", "mild", "medium", "severe", "degraded", "all")
SPEEDS = ("slow", "medium", "fast")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def absolute(value: Interval | None) -> str:
    """Such as 44.1 ± 3.0."""
    if value is None:
        return "–"
    return f"{value.mean:.1f}" + ("" if value.half is None else f" ± {value.half:.1f}")


def gain(value: Interval | None) -> str:
    """Such as **+12.3 ± 4.5**, bold where the interval excludes zero."""
    if value is None:
        return "–"
    text = f"{value.mean:+.1f}" + ("" if value.half is None else f" ± {value.half:.1f}")
    return f"**{text}**" if value.excludes_zero else text


def by_severity(results: Results) -> str:
    """AP50 of every arm by severity."""
    rows = [
        [ARMS[arm].title, str(len(results.seeds(arm)))]
        + [absolute(results.absolute(arm, "severity", name)) for name in SEVERITIES]
        for arm in results.arms
    ]
    return markdown(["arm", "seeds", *SEVERITIES], rows)


def gains_by_severity(results: Results) -> str:
    """Points of AP50 above the twin, paired by seed."""
    rows = [
        [ARMS[arm].title, str(len(set(results.seeds(arm)) & set(results.seeds(TWIN))))]
        + [gain(results.gain(arm, "severity", name)) for name in SEVERITIES]
        for arm in results.arms
        if arm != TWIN
    ]
    return markdown(["arm against the twin", "seeds", *SEVERITIES], rows)


def by_speed(results: Results, group: str) -> str:
    """AP50 by speed and the difference to the twin; group: "speed" or "degraded speed"."""
    rows = [
        [ARMS[arm].title, str(len(results.seeds(arm)))]
        + [absolute(results.absolute(arm, group, name)) for name in SPEEDS]
        + [gain(None if arm == TWIN else results.gain(arm, group, name)) for name in SPEEDS]
        for arm in results.arms
    ]
    return markdown(["arm", "seeds", *SPEEDS, *(f"{name} − twin" for name in SPEEDS)], rows)


def whose_support(results: Results) -> str:
    """The same weights with the support of the video itself, and of another video."""
    rows = []
    for arm in results.arms:
        if "other class" not in results.tests(arm):
            continue
        own = results.absolute(arm, "severity", "degraded")
        other = results.absolute(arm, "severity", "degraded", "other class")
        rows.append(
            [
                ARMS[arm].title,
                str(len(results.seeds(arm))),
                absolute(own),
                absolute(other),
                gain(results.gain(arm, "severity", "degraded", base=arm, base_test="other class")),
                gain(results.gain(arm, "severity", "degraded", test="other class")),
                gain(results.gain(arm, "severity", "clean", test="other class")),
            ]
        )
    head = ["arm", "seeds", "own support", "another class's", "own − another's",
            "another's − twin", "another's − twin, clean frames"]  # fmt: skip
    return markdown(head, rows)


def tests_of_main(results: Results) -> str:
    """Every test of the main arm, also the ablations of S and K, on the seeds that have them."""
    names = {
        OWN: "its own video, S = 8, K = 7 on each side",
        "same class": "another video of the same class",
        "other class": "another video of another class",
        "none": "none (prompts switched off)",
    }
    seeds = results.seeds_with(MAIN, "none")
    rows = [
        [names.get(test, test.replace("=", " = "))]
        + [absolute(results.absolute(MAIN, "severity", name, test, seeds)) for name in SEVERITIES]
        + [
            "–" if test == OWN else gain(
                results.gain(MAIN, "severity", "degraded", test=test, base=MAIN, seeds=seeds)
            )
        ]
        for test in sorted(results.tests(MAIN), key=_test_order)
    ]  # fmt: skip
    return markdown(["support of the main arm", *SEVERITIES, "degraded − own"], rows)


def _test_order(test: str) -> tuple[int, int]:
    kind, _, number = test.partition("=")
    order = ("own", "same class", "other class", "none", "S", "K")
    return order.index(kind), int(number or 0)


def prompt_counts(results: Results) -> str:
    """Ablation of the number of prompts."""
    arms = [arm for arm in ("prompts_1", "prompts_3", "prompts_5", MAIN, "prompts_13")
            if arm in results.arms]  # fmt: skip
    rows = [
        [str(ARMS[arm].model.get("num_prompts", 8)), str(len(results.seeds(arm)))]
        + [absolute(results.absolute(arm, "severity", name)) for name in SEVERITIES]
        + [gain(results.gain(arm, "severity", "degraded"))]
        for arm in arms
    ]
    return markdown(["P", "seeds", *SEVERITIES, "degraded − twin"], rows)


def costs(results: Results) -> str:
    """Parameters and processor time of every arm, and how much attention goes to the prompts."""
    rows = []
    for arm in results.arms:
        parameters = results.cost(arm, "parameters")
        base = results.cost(TWIN, "parameters") if TWIN in results.arms else None
        added = "–" if parameters is None or base is None else f"{parameters - base:+,.0f}"
        times = (results.cost(arm, name) for name in
                 ("training ms per step", "testing ms per frame"))  # fmt: skip
        rows.append(
            [
                ARMS[arm].title,
                "–" if parameters is None else f"{parameters:,.0f}",
                added,
                *("–" if value is None else f"{value:.0f}" for value in times),
                _mass(results, arm),
            ]
        )
    head = ["arm", "parameters", "− twin", "training, ms a step", "test, ms a frame",
            "attention on prompts, by block"]  # fmt: skip
    return markdown(head, rows)


def _mass(results: Results, arm: str) -> str:
    measured = [r["attention"] for r in results.records[arm].values() if r["attention"]]
    if not measured:
        return "–"
    blocks = zip(*(record["blocks"] for record in measured), strict=True)
    return ", ".join(f"{100 * sum(block) / len(block):.0f} %" for block in blocks)
