"""`stpn vot explain`: from a video, a box and weights to one HTML page."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass
from stpn_core.explain.mass_pictures import CAPTION, mass_by_block
from stpn_core.explain.page import Picture, write_page
from stpn_core.explain.pictures import data_address, jpeg
from stpn_core.explain.words import prompts_note
from stpn_core.settings import number_faults, refuse
from stpn_core.training import choose_device
from stpn_data.video import VideoSource, open_video
from stpn_data.video_reading import taken
from stpn_vot.arguments import read_box
from stpn_vot.explain import plots
from stpn_vot.explain.arguments import ExplainArguments
from stpn_vot.explain.follow import Taken, Way, follow
from stpn_vot.explain.frames_part import Read, frame_part
from stpn_vot.explain.page import Page, TemplatePart
from stpn_vot.metrics.overlap import box_iou
from stpn_vot.model_file import TrainedTracker, load_trained
from stpn_vot.tracking_config import TrackingConfig, check_tracking

PAGE = "explain.html"
MOST_TEMPLATES = 24


def run(arguments: ExplainArguments) -> int:
    """Write `OUT/explain.html`; on a CPU the same bytes for the same input."""
    _check(arguments)
    tracker = load_trained(arguments.weights, choose_device(arguments.device))
    for note in tracker.notes:
        print(f"note: {note}", file=sys.stderr)
    page = explain(tracker, arguments)
    write_page(arguments.out / PAGE, "stpn_vot.explain", page)
    print(f"-> {arguments.out / PAGE}")
    return 0


def explain(tracker: TrainedTracker, arguments: ExplainArguments) -> Page:
    """All sections; what cannot be shown is replaced by a sentence."""
    config = tracker.tracking(arguments.tracking)
    prompted = config.prompts and tracker.model.predictor is not None
    plain = replace(config, prompts=False) if prompted else None
    with open_video(arguments.input) as video:
        chosen = _chosen(_length(video, arguments), arguments)
        with tqdm(desc="track", unit="frame", disable=None) as bar:
            frames = taken(video, arguments.max_frames, lambda: False)
            box = read_box(arguments.box)
            way = follow(tracker.model, frames, box, config, plain, chosen, lambda: _tick(bar))
    parts = [frame_part(tracker.model, moment) for moment in way.moments]
    read = [about for _, about in parts]
    masses, note = _masses(read)
    predictor = tracker.config.predictor if prompted else None
    return Page(
        title=f"Looking inside: {'STPN' if prompted else 'MixFormer'} on {video.name}",
        settings=_settings(tracker, arguments, config, len(way.results)),
        time=Picture(data_address(plots.over_time(way, config), "png"), _time_caption(way)),
        summary=_summary(way),
        templates=[_template(taken) for taken in way.templates[:MOST_TEMPLATES]],
        templates_note=_templates_note(way, config),
        frames=[part for part, _ in parts],
        prompts_note=prompts_note(predictor, any(about.look is not None for about in read)),
        shares=Picture(data_address(plots.shares_by_block(masses), "png"), _SHARES)
        if masses
        else None,
        mass_plot=Picture(data_address(mass_by_block(masses), "png"), CAPTION) if masses else None,
        mass_note=note,
    )


_SHARES = (
    "Where the attention of the search region's tokens goes, mean of tokens, heads and the frames "
    "above. Templates, prompts and the region itself have very different numbers of keys."
)


def _length(video: VideoSource, arguments: ExplainArguments) -> int:
    """Frames that will be tracked; counted, since no container's length can be trusted."""
    count = sum(1 for _ in taken(video, arguments.max_frames, lambda: False))
    if count < 2:
        raise InputError(f"{arguments.input}: {count} frames; a target needs 2 to be followed")
    return count - 1


def _tick(bar: Any) -> None:
    bar.update()


def _chosen(length: int, arguments: ExplainArguments) -> list[int]:
    """Numbers of the frames to look at, 1 to `length`."""
    for number in arguments.pick:
        if not 1 <= number <= length:
            raise InputError(f"--pick {number}: frames 1 to {length} are tracked (--max-frames)")
    if arguments.pick:
        return sorted(set(arguments.pick))
    places = (np.arange(arguments.frames) + 0.5) * length / arguments.frames
    return sorted({1 + int(place) for place in places})


def _summary(way: Way) -> str:
    count = len(way.results)
    lost = sum(one.lost for one in way.results)
    scored = [one.score for one in way.results if one.score is not None]
    if not scored:
        said = f"{count} frames; these weights have no score head and cannot tell a lost target."
    else:
        said = f"{count} frames, mean score {np.mean(scored):.2f}, lost on {lost} of them."
    if way.plain is not None:
        others = [one.score for one in way.plain if one.score is not None]
        if others:
            away = sum(one.lost for one in way.plain)
            said += f" Without prompts: mean score {np.mean(others):.2f}, lost on {away}."
        boxes = [np.array([one.box for one in arm]) for arm in (way.results, way.plain)]
        apart = box_iou(boxes[0], boxes[1])
        said += (
            f" The boxes of both lie on each other with an IoU of {apart.mean():.2f} on average."
        )
    return said


def _time_caption(way: Way) -> str:
    said = (
        "The score of each frame; above the upper dashed line a frame may become a template or a "
    )
    said += "support frame, below the lower one it does not show the target."
    if way.plain is not None:
        said += " Both trackers go their own way from the first frame on."
    return said


def _templates_note(way: Way, config: TrackingConfig) -> str:
    said = (
        f"The first template stays for ever. Every {config.interval} frames the best frame since "
        f"then, with a score above {config.threshold:g}, becomes one of {config.slots} others, or "
        "the first one once more if there was none."
    )
    left = len(way.templates) - MOST_TEMPLATES
    return said + (f" The last {left} are not shown." if left > 0 else "")


def _template(one: Taken) -> TemplatePart:
    origin = "the given box" if one.frame == 0 else f"from frame {one.frame}"
    slot = "always" if one.slot < 0 else f"place {one.slot + 1}"
    until = "on" if one.end is None else f"to {one.end}"
    when = f"{origin}; {slot}, from frame {one.start} {until}"
    return TemplatePart(Picture(jpeg(one.pixels), ""), when)


def _masses(read: Sequence[Read]) -> tuple[list[list[PromptMass]], str]:
    refused = [about.mass for about in read if isinstance(about.mass, str)]
    if refused:
        return [], f"The attention on the prompts is not shown: {refused[0]}."
    return [about.mass for about in read if about.mass and not isinstance(about.mass, str)], ""


def _settings(
    tracker: TrainedTracker, arguments: ExplainArguments, config: TrackingConfig, count: int
) -> dict[str, str]:
    return {
        "source": f"{arguments.input}, {count} frames after the first",
        "box": arguments.box,
        "weights": str(tracker.source),
        "tracking": ", ".join(f"{name} {value}" for name, value in asdict(config).items()),
        "torch": f"{torch.__version__}, {choose_device(arguments.device)}",
    }


def _check(arguments: ExplainArguments) -> None:
    check_tracking(arguments.tracking)
    faults = [
        *number_faults(arguments, ("frames",), "1 or more", lambda x: x >= 1),
        *number_faults(arguments, ("max_frames",), "0, or 2 or more", lambda x: x == 0 or x >= 2),
    ]
    refuse("explain", faults)
