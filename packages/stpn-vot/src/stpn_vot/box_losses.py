"""How far predicted boxes are from the truth.

N boxes, x1 y1 x2 y2 in sides of the search crop. A predicted box may be unordered (x2 < x1): it has
no overlap loss then, only the distance of its corners. MixFormer drops the overlap loss of the whole
batch in that case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_core.errors import InputError

Overlap = Literal["giou", "ciou"]


@dataclass(frozen=True, eq=False)
class BoxLosses:
    """Means over N boxes: overlap loss (where ordered) and L1 distance, unweighted, and the share of
    boxes that were unordered."""

    overlap: Tensor
    l1: Tensor
    unordered: Tensor


def box_losses(boxes: Tensor, truth: Tensor, overlap: Overlap = "giou") -> BoxLosses:
    """Losses of boxes (N, 4) against truth (N, 4), which is cut to the crop.

    overlap: "giou", as the published models were trained, or "ciou", as the later code. MixFormer's
    loss is 2 * overlap + 5 * l1. Raises InputError on a wrong shape.
    """
    if boxes.ndim != 2 or boxes.shape != truth.shape or boxes.shape[1] != 4:
        raise InputError(
            f"boxes and truth must be (N, 4), got {tuple(boxes.shape)} and {tuple(truth.shape)}"
        )
    truth = truth.clamp(0, 1)
    each = (giou_loss if overlap == "giou" else ciou_loss)(boxes, truth)
    # each box counts 1 / N, whatever became of the others
    return BoxLosses(each.mean(), F.l1_loss(boxes, truth), 1 - ordered(boxes).float().mean())


def ordered(boxes: Tensor) -> Tensor:
    """Which boxes (N, 4) have x2 >= x1 and y2 >= y1, (N,) bool."""
    return (boxes[:, 2:] >= boxes[:, :2]).all(1)


def giou_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """1 - GIoU (Rezatofighi et al., CVPR 2019) of each of N boxes, 0 for unordered ones."""
    return _where_ordered(boxes, truth, _giou)


def ciou_loss(boxes: Tensor, truth: Tensor) -> Tensor:
    """1 - CIoU (Zheng et al., 2020) of each of N boxes, 0 for unordered ones.

    As in MixFormer: shape counts only where IoU is above 0.5, its weight has no gradient, and the
    whole is cut to -1..1.
    """
    return _where_ordered(boxes, truth, _ciou)


def _where_ordered(
    boxes: Tensor, truth: Tensor, measure: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    good = ordered(boxes)
    # not only masked afterwards: a NaN in the backward pass would survive the mask
    safe = torch.where(good[:, None], boxes, truth)
    return torch.where(good, 1 - measure(safe, truth), 0)


def _giou(boxes: Tensor, truth: Tensor) -> Tensor:
    iou, union = _iou(boxes, truth)
    hull = _hull(boxes, truth).prod(1).clamp(min=_tiny(boxes))
    return iou - (hull - union) / hull


def _ciou(boxes: Tensor, truth: Tensor) -> Tensor:
    iou, _ = _iou(boxes, truth)
    apart = (boxes[:, :2] + boxes[:, 2:] - truth[:, :2] - truth[:, 2:]) / 2
    diagonal = _hull(boxes, truth).square().sum(1).clamp(min=_tiny(boxes))
    shape = (_angle(truth) - _angle(boxes)).square() * 4 / math.pi**2
    with torch.no_grad():
        weight = (iou > 0.5) * shape / (1 - iou + shape).clamp(min=_tiny(boxes))
    return (iou - apart.square().sum(1) / diagonal - weight * shape).clamp(-1, 1)


def _iou(boxes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    start = torch.maximum(boxes[:, :2], truth[:, :2])
    end = torch.minimum(boxes[:, 2:], truth[:, 2:])
    shared = (end - start).clamp(min=0).prod(1)
    union = _sides(boxes).prod(1) + _sides(truth).prod(1) - shared
    return shared / union.clamp(min=_tiny(boxes)), union


def _hull(boxes: Tensor, truth: Tensor) -> Tensor:
    start = torch.minimum(boxes[:, :2], truth[:, :2])
    return torch.maximum(boxes[:, 2:], truth[:, 2:]) - start


def _sides(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def _angle(boxes: Tensor) -> Tensor:
    width, height = _sides(boxes).unbind(1)
    return torch.atan(width / height.clamp(min=_tiny(boxes)))


def _tiny(boxes: Tensor) -> float:
    return float(torch.finfo(boxes.dtype).eps)
