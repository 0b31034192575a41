"""One HTML page with what was measured: numbers, plots, frames side by side, exact settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from stpn_core.page import as_base64, environment
from stpn_core.runs import replace_file
from stpn_data.index import VideoIndex
from stpn_vot.config import Recipe
from stpn_vot.demo import pictures, plots
from stpn_vot.demo.arms import PROMPTS_OFF, STPN, TWIN, Arm
from stpn_vot.severity import severities
from stpn_vot.still_box import STILL

PACKAGES = ("torch", "torchvision", "timm", "stpn-core", "stpn-data", "stpn-vot")


def verdict(twin: Arm, stpn: Arm, prompts_off: Arm, still: Arm) -> str:
    """Who won where, in points of average overlap, and whether anything was learned at all; one
    training run of each, so no interval."""
    twin_ao, stpn_ao, still_ao = (100 * arm.whole.ao for arm in (twin, stpn, still))
    return (
        f"Average overlap over all frames: twin {twin_ao:.1f}, STPN {stpn_ao:.1f}, a box that never "
        f"moves {still_ao:.1f}. STPN against its twin: {_gains(stpn, twin)}. "
        f"The same STPN with its prompts against without: {_gains(stpn, prompts_off)}"
    )


def _gains(arm: Arm, base: Arm) -> str:
    pairs = {
        name: (row.ao, base.by_severity[name].ao)
        for name, row in arm.by_severity.items()
        if name in base.by_severity
    }
    pairs["all frames"] = (arm.whole.ao, base.whole.ao)
    return ", ".join(f"{100 * (a - b):+.1f} on {name}" for name, (a, b) in pairs.items())


def write_report(
    path: Path,
    arms: Sequence[Arm],
    index: VideoIndex,
    recipe: Recipe,
    start: Recipe,
    notes: Mapping[str, str],
) -> str:
    """Write the page and return its verdict. notes: further rows of the table of settings."""
    by_title = {arm.title: arm for arm in arms}
    twin, stpn, off, still = (by_title[title] for title in (TWIN, STPN, PROMPTS_OFF, STILL))
    said, bins = verdict(twin, stpn, off, still), list(twin.by_severity)
    root = Path(recipe.data.root)
    severity = severities(root, {name: len(one.truth) for name, one in twin.tracked.items()})
    examples = [
        {
            "name": index.frame_name(index.frames_of(video)[place]),
            "severity": severity[index.video_names[video]][place],
            "pictures": [
                as_base64(pictures.as_png(pictures.annotated(index, video, place, arm, i)))
                for i, arm in enumerate((twin, stpn))
            ],
        }
        for video, place in pictures.example_frames(index, severity)
    ]
    loader = jinja2.PackageLoader("stpn_vot.demo", ".")
    template = jinja2.Environment(loader=loader, autoescape=True).get_template("report.html.jinja")
    page = template.render(
        verdict=said,
        bins=bins,
        arms=arms,
        opencv=any(arm.title.startswith("OpenCV") for arm in arms),
        ao_plot=as_base64(plots.ao_by_severity(arms, bins)),
        loss_plot=as_base64(plots.losses((twin, stpn))),
        examples=examples,
        data_settings=(root / "synthetic.json").read_text(encoding="utf-8")[:2500],
        configs={
            arm.title: json.dumps(arm.training.config, indent=2)
            for arm in (twin, stpn)
            if arm.training
        },
        environment={**environment(PACKAGES), **notes},
        recipe=recipe,
        start=start,
    )
    replace_file(path, page.encode())
    return said
