"""`stpn vis explain`: from a video and one or two segmenters to one HTML page."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass
from stpn_core.explain.mass_pictures import CAPTION, mass_by_block
from stpn_core.explain.page import Picture, write_page
from stpn_core.explain.pictures import data_address
from stpn_core.explain.words import prompts_note
from stpn_core.settings import number_faults, refuse
from stpn_core.training import choose_device
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.open_any import open_source
from stpn_data.sequence import EvalVideo
from stpn_data.support import counted_policy
from stpn_data.transforms import EvalResize
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.explain.arguments import ExplainArguments
from stpn_vis.explain.follow import Arm, Followed, follow
from stpn_vis.explain.frames_part import frame_part, strips
from stpn_vis.explain.link_plots import hardest_link, timeline
from stpn_vis.explain.page import LinkPart, Page
from stpn_vis.model_file import load_trained

PAGE = "explain.html"


def run(arguments: ExplainArguments) -> int:
    """Write `OUT/explain.html`; on a CPU the same bytes for the same seed."""
    _check(arguments)
    index = open_source(arguments.input, arguments.split, arguments.format)
    page = explain(load_arms(arguments), index, arguments)
    write_page(arguments.out / PAGE, "stpn_vis.explain", page)
    print(f"-> {arguments.out / PAGE}")
    return 0


def load_arms(arguments: ExplainArguments) -> list[Arm]:
    """The segmenters to compare, the plainest first. Without a twin, a segmenter with prompts is
    compared with itself without them."""
    device = choose_device(arguments.device)
    main = load_trained(arguments.weights, device)
    arm = Arm(_title(main.config), main)
    if arguments.twin is None:
        if main.config.predictor is None:
            return [arm]
        return [replace(arm, title=f"{arm.title}, prompts off", prompted=False), arm]
    twin = load_trained(arguments.twin, device)
    if twin.classes != main.classes:
        raise InputError(
            f"{twin.source} segments {', '.join(twin.classes[:4])} …, {main.source} "
            f"{', '.join(main.classes[:4])} …: they cannot be compared"
        )
    title = _title(twin.config)
    if title == arm.title:
        arm = replace(arm, title=f"{title}, {arguments.weights}")
        title = f"{title}, {arguments.twin}"
    elif not twin.config.uses_support:
        title = "prompt-free twin"
    return [Arm(title, twin), arm]


def explain(arms: Sequence[Arm], index: VideoIndex, arguments: ExplainArguments) -> Page:
    """All sections; what cannot be shown is replaced by a sentence."""
    number = choose_video(index, arguments.video, arguments.seed)
    resize = EvalResize(arguments.short_side, arguments.long_side)
    video = EvalVideo(index, number, resize, allow_missing=True)
    missing = set(video.missing())
    places = [t for t in range(len(video)) if t not in missing][: arguments.max_frames or None]
    if not places:
        raise DataError(f"{index.source}: no frame of {video.name} has an image file")
    shown = _shown(places, arguments)
    policy = counted_policy(arguments.policy, arguments.count, arguments.stride)
    followed = [follow(arm, video, policy, places, shown) for arm in arms]
    parts = [frame_part(followed, index, place, arguments.most) for place in shown]
    last = followed[-1]
    plot, mass_note = _mass(last)
    return Page(
        title="Looking inside: " + " beside ".join(arm.title for arm in arms),
        settings=_settings(arms, index, video.name, places, arguments),
        frames=parts,
        links=[_links(one, index, arguments.most) for one in followed],
        links_note="" if len(places) > 1 else "A single frame: there is nothing to link.",
        prompts_note=prompts_note(
            arms[-1].segmenter.config.predictor,
            any(one.look is not None for one in last.shown.values()),
        ),
        mass_plot=plot,
        mass_note=mass_note,
    )


def choose_video(index: VideoIndex, name: str, seed: int) -> int:
    """The video of that name, or one drawn by chance, of those with annotated objects if there are
    any. Raises DataError naming the nearest ones."""
    names = list(index.video_names)
    if name:
        if name not in names:
            near = difflib.get_close_matches(name, names, 2) or names[:2]
            raise DataError(
                f"--video {name}: no such video in {index.source}; there is {' and '.join(near)}"
            )
        return names.index(name)
    boxes = np.diff(index.box_start[index.video_start])
    there = np.flatnonzero(boxes) if boxes.any() else np.arange(len(names))
    return int(np.random.default_rng(seed).choice(there))


def _shown(places: Sequence[int], arguments: ExplainArguments) -> list[int]:
    for place in arguments.pick:
        if place not in places:
            raise InputError(
                f"--pick {place}: frames {places[0]} to {places[-1]} are followed (--max-frames), "
                "without those whose image file is missing"
            )
    if arguments.pick:
        return sorted(set(arguments.pick))
    spread = (np.arange(arguments.frames) + 0.5) * len(places) / arguments.frames
    return sorted({places[int(i)] for i in spread})


def _links(followed: Followed, index: VideoIndex, most: int) -> LinkPart:
    slots = followed.best(most)
    return LinkPart(
        followed.arm.title,
        strips(followed, index, most),
        timeline(followed, slots),
        hardest_link(followed, slots),
    )


def _mass(followed: Followed) -> tuple[Picture | None, str]:
    masses = [one.mass for one in followed.shown.values()]
    refused = [mass for mass in masses if isinstance(mass, str)]
    if refused:
        return None, f"The attention that the frame gives its prompts is not shown: {refused[0]}."
    read: list[list[PromptMass]] = [m for m in masses if m and not isinstance(m, str)]
    if not read:
        return None, ""
    return Picture(data_address(mass_by_block(read), "png"), CAPTION), ""


def _settings(
    arms: Sequence[Arm],
    index: VideoIndex,
    video: str,
    places: Sequence[int],
    arguments: ExplainArguments,
) -> dict[str, str]:
    sources = {arm.title: str(arm.segmenter.source) for arm in arms}
    return {
        "source": index.source,
        "video": f"{video}, {len(places)} frames followed",
        **sources,
        "support": f"{arguments.policy}, {arguments.count} frames, stride {arguments.stride}",
        "size": f"short side {arguments.short_side}, long side {arguments.long_side}",
        "seed": str(arguments.seed),
        "torch": f"{torch.__version__}, {choose_device(arguments.device)}",
    }


def _title(config: SegmenterConfig) -> str:
    return "MinVIS" if config.predictor is None else "STPN"


def _check(arguments: ExplainArguments) -> None:
    positive = ("frames", "most", "count", "stride", "short_side", "long_side")
    faults = [
        *number_faults(arguments, positive, "1 or more", lambda x: x >= 1),
        *number_faults(arguments, ("max_frames", "seed"), "0 or more", lambda x: x >= 0),
    ]
    refuse("explain", faults)
