"""Where the prompts of one frame look in its support frames, as a picture with its numbers.

P prompts, K support frames, h x w grid and C channels of support tokens. Needs Pillow and
matplotlib (extra `explain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.explain.pictures import heat_over, labelled, rows_of
from stpn_core.explain.support_weights import support_weights, token_stride
from stpn_core.stpn import STPN

SUPPORT_HEIGHT = 80  # pixels of a support frame


@dataclass(frozen=True, eq=False)
class SupportLook:
    """picture uint8: support frames in columns, prompts in rows. tokens: number of support tokens.

    spread: how many of them a prompt attends to, as the exponential of its entropy, mean of the
    prompts. alike: what the maps of two prompts share, mean of the pairs, 1 if all are the same;
    None for a single prompt. on_objects: share of the attention inside annotated objects and of the
    support frames that they cover; None if no support frame has any.
    """

    picture: Tensor
    tokens: int
    spread: float
    alike: float | None
    on_objects: tuple[float, float] | None

    def words(self) -> str:
        """What the numbers say, as a sentence."""
        said = f"A prompt attends to {self.spread:.0f} of {self.tokens} support tokens (by entropy)"
        if self.alike is not None:
            said += f"; the maps of two prompts share {self.alike:.0%}"
        if self.on_objects is not None:
            inside, area = self.on_objects
            said += (
                f"; {inside:.0%} of the attention is on annotated objects, which cover {area:.0%}"
            )
        return f"{said}."


@torch.no_grad()
def support_look(
    stpn: STPN,
    tokens: Tensor,
    names: Sequence[str],
    images: Sequence[Tensor],
    masks: Sequence[Tensor],
) -> SupportLook | None:
    """None if the predictor gives support tokens no weights.

    tokens (1, K, h, w, C); of each support frame a name, its image uint8 (3, H, W) at network size
    before padding, and where annotated objects are (H, W) bool.
    """
    found = None if stpn.predictor is None else support_weights(stpn.predictor, tokens)
    if found is None:
        return None
    weights = found[0].cpu()  # (P, K, h, w)
    stride = token_stride(stpn.encoder)
    flat = weights.flatten(1)
    entropy = -(flat * flat.clamp(min=1e-12).log()).sum(1)
    return SupportLook(
        picture=_montage(names, images, weights, stride),
        tokens=flat.shape[1],
        spread=float(entropy.exp().mean()),
        alike=_alike(flat),
        on_objects=_on_objects(weights, masks, stride) if any(m.any() for m in masks) else None,
    )


def _montage(
    names: Sequence[str], images: Sequence[Tensor], weights: Tensor, stride: int
) -> Tensor:
    rows = [[labelled(i, name, SUPPORT_HEIGHT) for i, name in zip(images, names, strict=True)]]
    for maps in weights:
        top = maps.max().clamp(min=1e-12)
        rows.append(
            [
                labelled(
                    heat_over(image, heat / top, covered(heat, stride)),
                    f"{100 * float(heat.sum()):.0f} %",
                    SUPPORT_HEIGHT,
                )
                for image, heat in zip(images, maps, strict=True)
            ]
        )
    return rows_of(rows)


def covered(cells: Tensor, stride: int) -> tuple[int, int]:
    """Pixels that a map of cells stands for, the padding's among them."""
    return len(cells) * stride, cells.shape[1] * stride


def _alike(flat: Tensor) -> float | None:
    """Prompts (P, tokens): sum of the smaller weight of each token, mean of the pairs."""
    if len(flat) < 2:
        return None
    first, second = torch.triu_indices(len(flat), len(flat), 1)
    return float(torch.minimum(flat[first], flat[second]).sum(1).mean())


def _on_objects(weights: Tensor, masks: Sequence[Tensor], stride: int) -> tuple[float, float]:
    """A token's attention is spread evenly over the pixels of the frame that it stands for."""
    height, width = covered(weights[0, 0], stride)
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
