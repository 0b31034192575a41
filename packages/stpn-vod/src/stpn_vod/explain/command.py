"""`stpn vod explain`: from a data set or a video and one or two detectors to one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass
from stpn_core.explain.mass_pictures import CAPTION, mass_by_block
from stpn_core.explain.page import Picture, write_page
from stpn_core.explain.pictures import data_address
from stpn_core.explain.words import prompts_note
from stpn_core.settings import number_faults, refuse
from stpn_core.training import choose_device
from stpn_data.index import VideoIndex
from stpn_data.open_any import choose_frames, find_frames, open_source
from stpn_data.sequence import EvalVideo
from stpn_data.support import counted_policy
from stpn_data.transforms import EvalResize
from stpn_vod.arguments import ExplainArguments
from stpn_vod.build_config import DetectorConfig
from stpn_vod.eval_command import check_classes
from stpn_vod.explain.frame_part import Prompted, explain_frame
from stpn_vod.explain.objects_part import explain_objects
from stpn_vod.explain.page import Page
from stpn_vod.explain.tsne import require_sklearn
from stpn_vod.explain.view import Arm
from stpn_vod.model_file import load_trained
from stpn_vod.video_inference import SupportCache

PAGE = "explain.html"


def run(arguments: ExplainArguments) -> int:
    """Write `OUT/explain.html`; on a CPU the same bytes for the same seed."""
    _check(arguments)
    index = open_source(arguments.input, arguments.split, arguments.format)
    annotated = len(index.boxes) > 0
    if annotated and arguments.objects:
        require_sklearn()
    arms = load_arms(arguments)
    if annotated:
        for arm in arms:
            check_classes(arm.detector, index)
    page = explain(arms, index, arguments)
    write_page(arguments.out / PAGE, "stpn_vod.explain", page)
    print(f"-> {arguments.out / PAGE}")
    return 0


def load_arms(arguments: ExplainArguments) -> list[Arm]:
    """The detectors to compare, the plainest first. Without a twin, a detector with prompts is
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
            f"{twin.source} detects {', '.join(twin.classes[:4])} …, {main.source} "
            f"{', '.join(main.classes[:4])} …: they cannot be compared"
        )
    title = _title(twin.config)
    if title == arm.title:
        arm = replace(arm, title=f"{title}, {arguments.weights}")
        title = f"{title}, {arguments.twin}"
    elif not twin.config.uses_support:
        title = "single-frame twin"
    return [Arm(title, twin), arm]


def explain(arms: Sequence[Arm], index: VideoIndex, arguments: ExplainArguments) -> Page:
    """All three sections; what cannot be shown is replaced by a sentence."""
    policy = counted_policy(arguments.policy, arguments.count, arguments.stride)
    resize = EvalResize(arguments.short_side, arguments.long_side, arguments.resampling)
    chosen = (
        find_frames(index, arguments.pick)
        if arguments.pick
        else choose_frames(index, arguments.frames, arguments.seed)
    )
    parts, prompted = [], []
    for frame in chosen:
        video = index.video_of(frame)
        place = frame - index.frames_of(video).start
        clip = EvalVideo(index, video, resize, allow_missing=True)
        caches = [SupportCache(arm.detector.model, clip) for arm in arms]
        part, about = explain_frame(arms, caches, policy, place, index, arguments.boxes)
        parts.append(part)
        prompted.append(about)
    objects = explain_objects(
        arms, index, policy, resize, count=arguments.objects, seed=arguments.seed
    )
    plot, mass_note = _mass(prompted)
    return Page(
        title="Looking inside: " + " beside ".join(arm.title for arm in arms),
        settings=_settings(arms, index, arguments),
        frames=parts,
        titles=[arm.title for arm in arms],
        frames_note="" if parts else "No frame could be read, so there is none to show.",
        objects=objects,
        prompts_note=prompts_note(
            arms[-1].detector.config.predictor,
            not prompted or any(about.look is not None for about in prompted),
        ),
        mass_plot=plot,
        mass_note=mass_note,
    )


def _mass(prompted: Sequence[Prompted]) -> tuple[Picture | None, str]:
    refused = [about.mass for about in prompted if isinstance(about.mass, str)]
    if refused:
        return None, f"The attention that the frame gives its prompts is not shown: {refused[0]}."
    read: list[list[PromptMass]] = [
        about.mass for about in prompted if about.mass and not isinstance(about.mass, str)
    ]
    if not read:
        return None, ""
    return Picture(data_address(mass_by_block(read), "png"), CAPTION), ""


def _settings(
    arms: Sequence[Arm], index: VideoIndex, arguments: ExplainArguments
) -> dict[str, str]:
    sources = {arm.title: str(arm.detector.source) for arm in arms}
    return {
        "source": index.source,
        **sources,
        "support": f"{arguments.policy}, {arguments.count} frames, stride {arguments.stride}",
        "size": f"short side {arguments.short_side}, long side {arguments.long_side}, "
        f"{arguments.resampling}",
        "frames": ", ".join(arguments.pick) or f"{arguments.frames}, chosen by chance",
        "seed": str(arguments.seed),
        "torch": f"{torch.__version__}, {choose_device(arguments.device)}",
    }


def _title(config: DetectorConfig) -> str:
    if config.head == "selsa":
        return "SELSA" if config.predictor is None else "STPN with SELSA"
    return "single-frame detector" if config.predictor is None else "STPN"


def _check(arguments: ExplainArguments) -> None:
    positive = ("frames", "count", "stride", "short_side", "long_side")
    faults = [
        *number_faults(arguments, positive, "1 or more", lambda x: x >= 1),
        *number_faults(arguments, ("boxes", "objects", "seed"), "0 or more", lambda x: x >= 0),
    ]
    refuse("explain", faults)
