"""Prompts of one frame: where in the support frames they look, and how much the frame looks at them.

P prompts, K support frames, h x w grid of support tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.explain import PromptMass, prompt_mass, support_weights, token_stride
from stpn_data.sequence import EvalVideo
from stpn_vod.explain.eigen_cam import box_mask
from stpn_vod.explain.picture import heat_over, labelled, rows_of
from stpn_vod.explain.view import View

SUPPORT_HEIGHT = 80  # pixels of a support frame
BLOCK_HEIGHT = 150  # and of the frame that stands for a block
PER_ROW = 6  # blocks


@dataclass(frozen=True, eq=False)
class SupportLook:
    """picture uint8: support frames in columns, prompts in rows. tokens: number of support tokens.

    spread: how many of them a prompt attends to, as the exponential of its entropy, mean of the
    prompts. alike: what the maps of two prompts share, mean of the pairs, 1 if all are the same;
    None for a single prompt. on_objects: share of the attention inside annotated boxes and of the
    support frames that they cover; None if no support frame has any.
    """

    picture: Tensor
    tokens: int
    spread: float
    alike: float | None
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
    frames = [video.frame(t) for t in _readable(view, video)]
    flat = weights.flatten(1)
    entropy = -(flat * flat.clamp(min=1e-12).log()).sum(1)
    masks = [
        box_mask(
            torch.from_numpy(frame.annotation.boxes) * torch.tensor([*frame.scale, *frame.scale]),
            (frame.image.shape[1], frame.image.shape[2]),
        )
        for frame in frames
    ]
    return SupportLook(
        picture=_montage(view, [frame.image for frame in frames], weights),
        tokens=flat.shape[1],
        spread=float(entropy.exp().mean()),
        alike=_alike(flat),
        on_objects=_on_objects(view, weights, masks) if any(m.any() for m in masks) else None,
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
    """uint8: the frame once for each block, hot where tokens look at their prompts more than at
    other tokens; one scale for all blocks."""
    ratios = [one.mass / one.even for one in found]
    most = max(float(ratio.max()) for ratio in ratios)
    cells = [
        labelled(
            heat_over(view.frame.image, ratio / most, _covers(ratio, one.stride)),
            one.block,
            BLOCK_HEIGHT,
        )
        for one, ratio in zip(found, ratios, strict=True)
    ]
    return rows_of([cells[i : i + PER_ROW] for i in range(0, len(cells), PER_ROW)])


def _readable(view: View, video: EvalVideo) -> list[int]:
    """Places of the support frames as they were read: the nearest one where a file is missing."""
    missing = set(video.missing())
    there = [t for t in range(len(video)) if t not in missing]
    return [t if t not in missing else min(there, key=lambda o: abs(o - t)) for t in view.support]


def _montage(view: View, frames: list[Tensor], weights: Tensor) -> Tensor:
    here = view.frame.t
    names = [f"{t - here:+d}" if t != here else "itself" for t in view.support]
    stride = token_stride(view.arm.detector.model.stpn.encoder)
    rows = [[labelled(f, name, SUPPORT_HEIGHT) for f, name in zip(frames, names, strict=True)]]
    for maps in weights:
        top = maps.max().clamp(min=1e-12)
        rows.append(
            [
                labelled(
                    heat_over(frame, heat / top, _covers(heat, stride)),
                    f"{100 * float(heat.sum()):.0f} %",
                    SUPPORT_HEIGHT,
                )
                for frame, heat in zip(frames, maps, strict=True)
            ]
        )
    return rows_of(rows)


def _covers(cells: Tensor, stride: int) -> tuple[int, int]:
    """Pixels that a map of cells stands for, the padding's among them."""
    return len(cells) * stride, cells.shape[1] * stride


def _alike(flat: Tensor) -> float | None:
    """Prompts (P, tokens): sum of the smaller weight of each token, mean of the pairs."""
    if len(flat) < 2:
        return None
    first, second = torch.triu_indices(len(flat), len(flat), 1)
    return float(torch.minimum(flat[first], flat[second]).sum(1).mean())


def _on_objects(view: View, weights: Tensor, masks: list[Tensor]) -> tuple[float, float]:
    """A token's attention is spread evenly over the pixels of the frame that it stands for."""
    height, width = _covers(weights[0, 0], token_stride(view.arm.detector.model.stpn.encoder))
    inside, area = 0.0, 0.0
    for heat, mask in zip(weights.mean(0), masks, strict=True):
        rows, columns = heat.shape
        there, hit = torch.zeros(2, height, width)
        there[: mask.shape[0], : mask.shape[1]] = 1
        hit[: mask.shape[0], : mask.shape[1]] = mask.float()
        cells = [
            m.unflatten(1, (columns, -1)).unflatten(0, (rows, -1)).sum((1, 3)) for m in (hit, there)
        ]
        inside += float((cells[0] / cells[1].clamp(min=1) * heat).sum())
        area += float(mask.float().mean())
    return inside, area / len(masks)
