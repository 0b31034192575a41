"""One HTML page with what was measured: numbers, plots, masks side by side, exact settings."""

from __future__ import annotations

import base64
import json
import platform
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import jinja2
import torch

from stpn_core.runs import replace_file
from stpn_vis.config import Recipe
from stpn_vis.demo import pictures
from stpn_vis.demo.arms import Arm
from stpn_vis.ground_truth import ground_truth

PACKAGES = ("torch", "torchvision", "timm", "stpn-core", "stpn-data", "stpn-vis")


def verdict(twin: Arm, stpn: Arm, prompts_off: Arm) -> str:
    """Who won where, in points of mask AP50; one training run of each, so no interval."""
    whole = 100 * (stpn.whole["AP50"] - twin.whole["AP50"])
    return (
        f"STPN against its twin, mask AP50 frame by frame: {_gains(stpn, twin)}; over whole videos: "
        f"{whole:+.1f}. The same STPN with its prompts against without, frame by frame: "
        f"{_gains(stpn, prompts_off)}"
    )


def _gains(arm: Arm, base: Arm) -> str:
    names = [name for name in arm.by_frame if name in base.by_frame]
    gains = [100 * (arm.by_frame[name]["AP50"] - base.by_frame[name]["AP50"]) for name in names]
    return ", ".join(f"{gain:+.1f} on {name}" for name, gain in zip(names, gains, strict=True))


def write_report(
    path: Path, arms: Sequence[Arm], recipe: Recipe, data: Path, seconds: float
) -> str:
    """Write the page and return its verdict; arms are the twin, STPN, and STPN without prompts."""
    twin, stpn, off = arms
    said = verdict(twin, stpn, off)
    bins = list(twin.by_frame)
    truth = ground_truth(twin.index).tracks
    examples = [
        {
            "name": twin.index.frame_name(frame),
            "severity": twin.severity[frame],
            "pictures": [
                _base64(pictures.annotated(twin.index, frame, tracks))
                for tracks in (truth, twin.found, stpn.found)
            ],
        }
        for frame in pictures.example_frames(twin)
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("stpn_vis.demo", "."), autoescape=True
    )
    page = environment.get_template("report.html.jinja").render(
        verdict=said,
        score=pictures.SCORE,
        bins=bins,
        arms=arms,
        ap_plot=_base64(pictures.ap_by_severity(arms, bins)),
        loss_plot=_base64(pictures.losses(arms[:2])),
        examples=examples,
        data_settings=(data / "synthetic.json").read_text()[:3000],
        configs={arm.title: json.dumps(arm.config, indent=2) for arm in arms[:2]},
        seconds=seconds,
        environment=_environment(),
        recipe=recipe,
    )
    replace_file(path, page.encode())
    return said


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _environment() -> dict[str, str]:
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor()
    return {
        "date": date.today().isoformat(),
        "machine": f"{device or platform.machine()}, {torch.get_num_threads()} threads",
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
