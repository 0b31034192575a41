"""Prompts of one frame: where in the support frames they look, and how much the frame looks at them."""

from __future__ import annotations

import torch

from stpn_core.explain import PromptMass, mass_pictures
from stpn_core.explain import support_look as look_of
from stpn_core.explain.support_look import SupportLook
from stpn_data.sequence import EvalVideo
from stpn_vod.explain.eigen_cam import box_mask
from stpn_vod.explain.view import View


def support_look(view: View, video: EvalVideo) -> SupportLook | None:
    """None if the frame has no prompts, or if its predictor gives support tokens no weights."""
    if view.tokens is None:
        return None
    frames = [video.frame(t) for t in _readable(view, video)]
    masks = [
        box_mask(
            torch.from_numpy(frame.annotation.boxes) * torch.tensor([*frame.scale, *frame.scale]),
            (frame.image.shape[1], frame.image.shape[2]),
        )
        for frame in frames
    ]
    here = view.frame.t
    names = [f"{t - here:+d}" if t != here else "itself" for t in view.support]
    images = [frame.image for frame in frames]
    stpn = view.arm.detector.model.stpn
    return look_of.support_look(stpn, view.tokens, names, images, masks)


def mass_of(view: View) -> list[PromptMass] | str:
    """`prompt_mass` of the frame, or why it cannot be read. Empty without prompts."""
    return mass_pictures.mass_of(view.arm.detector.model.stpn.encoder, view.image, view.prompts)


def _readable(view: View, video: EvalVideo) -> list[int]:
    """Places of the support frames as they were read: the nearest one where a file is missing."""
    missing = set(video.missing())
    there = [t for t in range(len(video)) if t not in missing]
    return [t if t not in missing else min(there, key=lambda o: abs(o - t)) for t in view.support]
