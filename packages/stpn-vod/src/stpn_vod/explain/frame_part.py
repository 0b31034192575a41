"""One frame for the page: each detector's boxes and heat, and what its prompts look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.explain import PromptMass
from stpn_core.explain.mass_pictures import mass_picture, mass_words
from stpn_core.explain.page import Picture
from stpn_core.explain.pictures import heat_over, jpeg
from stpn_core.explain.support_look import SupportLook
from stpn_data.index import VideoIndex
from stpn_data.support import Policy
from stpn_vod.detections import Detections
from stpn_vod.draw import class_colour
from stpn_vod.explain.box_cam import box_cam
from stpn_vod.explain.eigen_cam import common_stride, eigen_cam, heat_inside
from stpn_vod.explain.page import FramePart
from stpn_vod.explain.picture import with_boxes
from stpn_vod.explain.prompt_attention import mass_of, support_look
from stpn_vod.explain.view import Arm, View, detections, look
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.video_inference import SupportCache

SCORE = 0.25  # detections that score less are not drawn
MOST = 8  # detections drawn
GREY = (235, 235, 235)
SMALLEST = 2.0  # pixels in the network; a smaller box has nothing to explain


@dataclass(frozen=True, eq=False)
class Prompted:
    """What was read about the prompts of one frame; mass as text is why it could not be read."""

    look: SupportLook | None
    mass: list[PromptMass] | str


@dataclass(frozen=True, eq=False)
class Chosen:
    """Boxes (n, 4) in network pixels, largest or surest first, with labels, and what they are."""

    boxes: Tensor
    labels: list[int]
    what: str


def explain_frame(
    arms: Sequence[Arm],
    caches: Sequence[SupportCache],
    policy: Policy,
    place: int,
    index: VideoIndex,
    most_boxes: int,
) -> tuple[FramePart, Prompted]:
    """Frame `place` of the caches' video, for all arms; prompts are those of the last one."""
    views = [look(arm, cache, policy, place) for arm, cache in zip(arms, caches, strict=True)]
    found = [detections(view) for view in views]
    chosen = _choose(views[-1], found[-1])
    columns = [
        (view.arm.title, _pictures(view, own, chosen, most_boxes))
        for view, own in zip(views, found, strict=True)
    ]
    last = views[-1]
    about = Prompted(support_look(last, caches[-1].video), mass_of(last))
    part = FramePart(
        name=index.frame_name(last.frame.index),
        columns=columns,
        broad=last.size[1] > 1.2 * last.size[0],
        looks=None if about.look is None else Picture(jpeg(about.look.picture), about.look.words()),
        mass=_mass(last, about.mass),
    )
    return part, about


def _choose(view: View, found: Detections) -> Chosen:
    """The frame's annotation, largest first, or else what the last arm finds, surest first."""
    annotation = view.frame.annotation
    if len(annotation.boxes):
        height, width = view.size
        scale = torch.tensor([*view.frame.scale, *view.frame.scale])
        boxes = torch.from_numpy(annotation.boxes) * scale
        boxes = torch.stack(
            [boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)], dim=-1
        ).flatten(1)
        sides = boxes[:, 2:] - boxes[:, :2]
        order = [i for i in sides.prod(1).argsort(descending=True, stable=True).tolist()
                 if float(sides[i].min()) >= SMALLEST]  # fmt: skip
        return Chosen(boxes[order], [int(annotation.labels[i]) for i in order], "annotated")
    sure = found.above(SCORE)
    large = (sure.boxes[:, 2:] - sure.boxes[:, :2]).amin(1) >= SMALLEST
    return Chosen(sure.boxes[large], sure.labels[large].tolist(), "detected")


def _pictures(view: View, found: Detections, chosen: Chosen, most_boxes: int) -> list[Picture]:
    pictures = [_detections(view, found), _eigen(view, chosen)]
    for box, label in zip(chosen.boxes[:most_boxes], chosen.labels, strict=False):
        cam = box_cam(view, box, label)
        covers = cam.heat.shape[0] * cam.stride, cam.heat.shape[1] * cam.stride
        hot = heat_over(view.frame.image, cam.heat, covers)
        name = view.arm.detector.classes[label]
        said = f"for the {chosen.what} {name}: score {cam.score:.2f}, IoU {cam.iou:.2f}"
        if isinstance(view.arm.detector.model, SelsaDetector):
            said += ", without its references"
        pictures.append(Picture(jpeg(with_boxes(hot, box[None], [class_colour(label)])), said))
    return pictures


def _detections(view: View, found: Detections) -> Picture:
    classes, sure = view.arm.detector.classes, found.above(SCORE)
    labels, scores = sure.labels.tolist()[:MOST], sure.scores.tolist()[:MOST]
    drawn = with_boxes(view.frame.image, sure.boxes[:MOST], [class_colour(i) for i in labels])
    names = [f"{classes[label]} {score:.2f}" for label, score in zip(labels, scores, strict=True)]
    said = ", ".join(names) or f"nothing that scores above {SCORE}"
    return Picture(jpeg(drawn), f"detected: {said}")


def _eigen(view: View, chosen: Chosen) -> Picture:
    stride = common_stride(view.pyramid, view.size)
    count = len(chosen.boxes)
    heat = eigen_cam(view.pyramid, view.size, chosen.boxes if count else None, stride)
    covers = heat.shape[0] * stride, heat.shape[1] * stride
    drawn = with_boxes(heat_over(view.frame.image, heat, covers), chosen.boxes, [GREY] * count)
    said = f"EigenCAM, cells of {stride} pixels"
    if count:
        inside, area = heat_inside(heat, stride, chosen.boxes, view.size)
        said += f"; {inside:.0%} of the heat is in the {chosen.what} boxes, which cover {area:.0%}"
    return Picture(jpeg(drawn), said)


def _mass(view: View, found: list[PromptMass] | str) -> Picture | None:
    if not found or isinstance(found, str):
        return None
    return Picture(jpeg(mass_picture(view.frame.image, found)), mass_words(found))
