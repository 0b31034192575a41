"""One HTML page with what was measured: numbers, plots, frames side by side, exact settings."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from PIL import Image
from torch import Tensor

from stpn_core.page import as_base64, environment
from stpn_core.runs import replace_file
from stpn_data.index import VideoIndex
from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.config import Recipe
from stpn_vod.demo import plots
from stpn_vod.model_file import TrainedDetector
from stpn_vod.severity import BINS

Scores = Mapping[str, Mapping[str, float]]
PACKAGES = ("torch", "torchvision", "timm", "stpn-core", "stpn-data", "stpn-vod")
EXAMPLES = 8
SHOWN = 0.75  # severity of the frames that are shown


@dataclass(frozen=True, eq=False)
class Arm:
    """One column of the comparison: a detector, what it found, how it scored."""

    title: str
    detector: TrainedDetector
    index: VideoIndex
    severity: Mapping[int, float]
    found: FrameBoxes
    scores: Scores  # by severity bin, as `ap_by_severity` gives them
    metrics: Sequence[Mapping[str, Any]]
    config: Mapping[str, Any]

    @property
    def parameters(self) -> int:
        """Parameters used at inference."""
        model = self.detector.model
        return sum(
            p.numel() for name, p in model.named_parameters() if not name.startswith("presence.")
        )


@dataclass(frozen=True)
class Report:
    """What the page says in one sentence."""

    verdict: str


def verdict(twin: Scores, stpn: Scores, prompts_off: Scores) -> str:
    """Who won where, in points of AP50; one training run of each, so no interval."""
    return (
        f"STPN against its twin, AP50: {_gains(stpn, twin)}. "
        f"The same STPN with its prompts against without: {_gains(stpn, prompts_off)}"
    )


def _gains(scores: Scores, base: Scores) -> str:
    names = [group.name for group in BINS if group.name in scores and group.name in base]
    gains = [100 * (scores[name]["AP50"] - base[name]["AP50"]) for name in names]
    return ", ".join(f"{gain:+.1f} on {name}" for name, gain in zip(names, gains, strict=True))


def write_report(
    path: Path, arms: Sequence[Arm], recipe: Recipe, data: Path, clip: Path, seconds: float
) -> Report:
    """Write the page; arms are the twin, STPN, and controls."""
    from stpn_vod.demo.clip import SCORE, annotated

    found = Report(verdict(*(arm.scores for arm in arms[:3])))
    names = [group.name for group in BINS if group.name in arms[0].scores]
    examples = [
        {
            "name": arms[0].index.frame_name(frame),
            "severity": arms[0].severity[frame],
            "pictures": [_png(annotated(truth_of(arms[0]), frame))]
            + [_png(annotated(arm, frame)) for arm in arms[:2]],
        }
        for frame in example_frames(arms[0])
    ]
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("stpn_vod.demo", "."), autoescape=True
    )
    page = templates.get_template("report.html.jinja").render(
        verdict=found.verdict,
        score=SCORE,
        bins=names,
        arms=arms,
        ap_plot=as_base64(plots.ap_by_severity(arms, names)),
        loss_plot=as_base64(plots.losses(arms[:2])),
        examples=examples,
        clip=clip.name,
        data_settings=(data / "synthetic.json").read_text()[:4000],
        configs={arm.title: json.dumps(arm.config, indent=2) for arm in arms[:2]},
        seconds=seconds,
        environment=environment(PACKAGES),
        recipe=recipe,
    )
    replace_file(path, page.encode())
    return found


def example_frames(arm: Arm, count: int = EXAMPLES) -> list[int]:
    """Frames to show: of each video the one whose severity is nearest to SHOWN, spread over videos.

    Chosen by severity alone, never by who detected what.
    """
    index = arm.index
    chosen = [
        min(index.frames_of(v), key=lambda i: abs(arm.severity[i] - SHOWN))
        for v in range(index.num_videos)
    ]
    places = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)
    return [chosen[i] for i in places]


def truth_of(arm: Arm) -> Arm:
    """The annotation, in the place of an arm's detections."""
    from dataclasses import replace

    from stpn_vod.evaluate import ground_truth

    return replace(arm, title="annotation", found=ground_truth(arm.index))


def _png(image: Tensor) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return as_base64(buffer.getvalue())
