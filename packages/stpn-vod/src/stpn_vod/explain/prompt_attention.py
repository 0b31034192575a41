"""Prompts of one frame: where in the support frames they look, and how much the frame looks at them.

P prompts, K support frames, h x w grid of support tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass, prompt_mass, support_weights
from stpn_data.sequence import EvalVideo
from stpn_vod.draw import draw_boxes
from stpn_vod.explain.eigen_cam import box_mask
from stpn_vod.explain.picture import enlarged, heat_over, rows_of
from stpn_vod.explain.view import View
from stpn_vod.network_input import PAD_TO

SMALL = 88  # pixels of a support frame's height
PER_ROW = 6  # blocks
WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class SupportLook:
    """picture uint8: support frames in columns, prompts in rows; tokens: number of support tokens;
    spread: how many of them a prompt attends to, as the exponential of its entropy, mean of the
    prompts; on_objects: share of the attention inside annotated boxes and the area that they cover,
    None if no support frame has any.
    """

    picture: Tensor
    tokens: int
    spread: float
    on_objects: tuple[float, float] | None


@torch.no_grad()
def support_look(view: View, video: EvalVideo) -> SupportLook | None:
    """None if the frame has no prompts, or if its predictor gives support tokens no weights."""
    predictor = view.arm.detector.model.stpn.predictor
    if view.tokens is None or predictor is None:
        return None
    found = support_weights(predictor, view.tokens)
    if found is None:
        return None
    weights = found[0].cpu()  # (P, K, h, w)
    frames = [video.frame(t) for t in video_places(view, video)]
    flat = weights.flatten(1)
    entropy = -(flat * flat.clamp(min=1e-12).log()).sum(1)
    masks = [
        box_mask(torch.from_numpy(f.annotation.boxes) * torch.tensor([*f.scale, *f.scale]), size)
        for f in frames
        for size in [(f.image.shape[1], f.image.shape[2])]
    ]
    return SupportLook(
        picture=_montage(view, [f.image for f in frames], weights),
        tokens=flat.shape[1],
        spread=float(entropy.exp().mean()),
        on_objects=_on_objects(weights, masks) if any(m.any() for m in masks) else None,
    )


def mass_of(view: View) -> list[PromptMass] | str:
    """`prompt_mass` of the frame, or why it cannot be read. Empty without prompts."""
    if view.prompts is None:
        return []
    try:
        return prompt_mass(view.arm.detector.model.stpn.encoder, view.image, view.prompts)
    except InputError as error:
        return str(error)


def mass_picture(view: View, found: list[PromptMass]) -> Tensor:
    """uint8: the frame once for each block, hot where tokens give their prompts much attention; one
    scale for all blocks."""
    most = max(float(one.mass.max()) for one in found)
    cells = []
    for one in found:
        covers = _covers(view.image.shape[2], view.image.shape[3], one.mass)
        hot = heat_over(view.frame.image, one.mass / max(most, 1e-12), covers)
        cells.append(_labelled(hot, f"{one.block[6:] if one.block[0] == 's' else one.block}"))
    return rows_of([cells[i : i + PER_ROW] for i in range(0, len(cells), PER_ROW)])


def video_places(view: View, video: EvalVideo) -> list[int]:
    """Places of the support frames that were looked at; the nearest one where a file is missing."""
    missing = set(video.missing())
    there = [t for t in range(len(video)) if t not in missing]
    return [t if t not in missing else min(there, key=lambda o: abs(o - t)) for t in view.support]


def _montage(view: View, frames: list[Tensor], weights: Tensor) -> Tensor:
    here = view.frame.t
    names = [f"{t - here:+d}" if t != here else "this frame" for t in view.support]
    rows = [[_labelled(f, name) for f, name in zip(frames, names, strict=True)]]
    height, width = view.image.shape[2:]
    for maps in weights:
        top = maps.max().clamp(min=1e-12)
        rows.append(
            [
                _labelled(
                    heat_over(frame, heat / top, _covers(height, width, heat)),
                    f"{100 * float(heat.sum()):.0f} %",
                )
                for frame, heat in zip(frames, maps, strict=True)
            ]
        )
    return rows_of(rows)


def _covers(height: int, width: int, cells: Tensor) -> tuple[int, int]:
    """Pixels that a map of cells stands for: the padded image, or a little more where the last
    cells reach beyond it."""
    return -(-height // len(cells)) * len(cells), -(-width // cells.shape[1]) * cells.shape[1]


def _labelled(image: Tensor, text: str) -> Tensor:
    large, _ = enlarged(image, torch.zeros(0, 4), SMALL)
    return draw_boxes(large, [((0, 0, 0, 0), text, WHITE)])


def _on_objects(weights: Tensor, masks: list[Tensor]) -> tuple[float, float]:
    """Attention of each token is spread evenly over the pixels of the frame that it stands for."""
    inside, area = 0.0, 0.0
    for heat, mask in zip(weights.mean(0), masks, strict=True):
        height, width = (-(-side // PAD_TO) * PAD_TO for side in mask.shape)
        padded = torch.zeros(_covers(height, width, heat))
        padded[: mask.shape[0], : mask.shape[1]] = mask.float()
        cells = padded.unflatten(1, (heat.shape[1], -1)).unflatten(0, (heat.shape[0], -1))
        inside += float((cells.mean((1, 3)) * heat).sum())
        area += float(mask.float().mean())
    return inside, area / len(masks)
