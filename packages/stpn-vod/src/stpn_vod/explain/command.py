"""`stpn vod explain`: from a data set or a video and one or two detectors to one HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass
from stpn_core.settings import number_faults, refuse
from stpn_core.training import choose_device
from stpn_data.index import VideoIndex
from stpn_data.sequence import EvalVideo
from stpn_data.support import Policy, parse_policy
from stpn_data.transforms import EvalResize
from stpn_vod.arguments import ExplainArguments
from stpn_vod.build_config import DetectorConfig
from stpn_vod.eval_command import check_classes
from stpn_vod.explain import plots
from stpn_vod.explain.frame_part import Prompted, explain_frame
from stpn_vod.explain.objects_part import explain_objects
from stpn_vod.explain.page import Page, Picture, write_page
from stpn_vod.explain.picture import data_address
from stpn_vod.explain.source import choose_frames, find_frames, open_source
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
    write_page(arguments.out / PAGE, page)
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
    policy = _policy(arguments)
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
        prompts_note=_prompts_note(arms[-1], prompted),
        mass_plot=plot,
        mass_note=mass_note,
    )


def _prompts_note(arm: Arm, prompted: Sequence[Prompted]) -> str:
    config = arm.detector.config
    if config.predictor is None:
        return "This detector has no prompts, so there is nothing to show."
    if config.predictor == "static":
        return (
            "Its prompts are learned and the same for every frame: they look at no support frame. "
            "What the frame makes of them is below."
        )
    if config.predictor == "mixer":
        return (
            "The mixer averages the support frames and mixes positions by fixed weights: no prompt "
            "chooses where to look, so there is no attention over the support to show. What the "
            "frame makes of the prompts is below."
        )
    if prompted and all(about.look is None for about in prompted):
        return "None of these frames has a support frame, so none has prompts."
    choice = (
        "The average predictor has no attention: of each support frame it takes the tokens with the "
        "largest norm, the first prompt the largest, and so on. Hot are the tokens that were taken. "
        if config.predictor == "average"
        else "Where the prompts' queries attend in the support frames, mean of the heads. "
    )
    return (
        f"{choice}Rows are prompts, columns support frames, numbered from the frame that they "
        "support; each row has its own scale, and the share of its attention on each frame."
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
    caption = (
        "The share of a token's attention that goes to all prompts together, mean of tokens and "
        "heads. A share below the dashed line means that prompts are looked at less than the "
        "frame's own tokens. Attention is not influence: values and later layers decide what comes "
        "of it."
    )
    return Picture(data_address(plots.mass_by_block(read), "png"), caption), ""


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


def _policy(arguments: ExplainArguments) -> Policy:
    if arguments.policy == "window":
        return parse_policy(
            "window", per_side=max(1, arguments.count // 2), stride=arguments.stride
        )
    if arguments.policy == "online":
        return parse_policy("online", count=arguments.count, stride=arguments.stride)
    return parse_policy("uniform", count=arguments.count)


def _check(arguments: ExplainArguments) -> None:
    positive = ("frames", "count", "stride", "short_side", "long_side")
    faults = [
        *number_faults(arguments, positive, "1 or more", lambda x: x >= 1),
        *number_faults(arguments, ("boxes", "objects", "seed"), "0 or more", lambda x: x >= 0),
    ]
    refuse("explain", faults)
