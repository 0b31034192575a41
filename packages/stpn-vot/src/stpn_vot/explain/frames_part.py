"""One frame for the page: the boxes with prompts and without, and what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from stpn_core.explain import PromptMass
from stpn_core.explain.mass_pictures import mass_picture, mass_words
from stpn_core.explain.page import Picture
from stpn_core.explain.pictures import jpeg, scaled
from stpn_core.explain.support_look import SupportLook
from stpn_data.crop_axes import Box, crop_side
from stpn_vot.explain.follow import Moment
from stpn_vot.explain.looks import mass_of, support_of
from stpn_vot.explain.page import FramePart
from stpn_vot.judgement import TrackResult
from stpn_vot.mixformer import MixFormer

HEIGHT = 320  # pixels of a frame on the page
PROMPTED, PLAIN, REGION = (209, 73, 91), (48, 99, 142), (237, 174, 73)
Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Read:
    """What was read about the prompts of one frame; mass as text is why it could not be read."""

    look: SupportLook | None
    mass: list[PromptMass] | str


def frame_part(model: MixFormer, moment: Moment) -> tuple[FramePart, Read]:
    """A moment of a way for the page."""
    look, mass = support_of(model, moment), mass_of(model, moment)
    said = [_said("red: " if moment.plain else "", moment.result, bool(moment.plain))]
    boxes = [(moment.result.box, PROMPTED)]
    if moment.plain is not None:
        said.append(_said("blue: ", moment.plain, False))
        boxes.append((moment.plain.box, PLAIN))
    frame = with_boxes(moment.image, [*boxes, (_square(moment), REGION)])
    prompted = moment.state.memory.prompts is not None
    usual = "" if moment.region.usual else ", wider than usual, for the target is lost"
    where = "prompted" if prompted else "without prompts: there is no support frame yet"
    part = FramePart(
        name=f"frame {moment.number}",
        frame=Picture(jpeg(frame), "; ".join([*said, "yellow: what is searched"])),
        crop=Picture(jpeg(scaled(moment.crop, HEIGHT)), f"the search region{usual}; {where}"),
        looks=None if look is None else Picture(jpeg(look.picture), look.words()),
        mass=_mass(moment, mass),
    )
    return part, Read(look, mass)


def with_boxes(image: Tensor, boxes: Sequence[tuple[Box, Colour]]) -> Tensor:
    """The image at HEIGHT with boxes x, y, w, h in its own pixels, the first on top."""
    picture = Image.fromarray(scaled(image, HEIGHT).permute(1, 2, 0).contiguous().numpy())
    pen = ImageDraw.Draw(picture)
    factor = HEIGHT / image.shape[1]
    for (x, y, w, h), colour in reversed(boxes):
        corners = [side * factor for side in (x, y, x + max(w, 0.0), y + max(h, 0.0))]
        pen.rectangle(corners, outline=colour, width=3)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)


def _square(moment: Moment) -> Box:
    x, y, w, h = moment.region.around
    side = float(crop_side(moment.region.around, moment.region.factor))
    return (x + w / 2 - side / 2, y + h / 2 - side / 2, side, side)


def _said(start: str, result: TrackResult, both: bool) -> str:
    what = "with prompts" if both else ("without" if start else "found")
    score = "" if result.score is None else f", score {result.score:.2f}"
    return f"{start}{what}{score}{', lost' if result.lost else ''}"


def _mass(moment: Moment, found: list[PromptMass] | str) -> Picture | None:
    if not found or isinstance(found, str):
        return None
    return Picture(jpeg(mass_picture(moment.crop, found)), mass_words(found))
