"""What in the pyramid speaks for one box: the gradient of a target that stands for it.

EigenCAM itself reads no target, so the supplement's "target function" for chosen boxes (their score
and their overlap with the original box) has no effect on it. It has one where gradients enter: here
activations are weighted with the gradient of the target, cell by cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from stpn_core import Features
from stpn_vod.explain.eigen_cam import to_unit
from stpn_vod.explain.view import View
from stpn_vod.roi_align import pool_regions, pyramid_levels


@dataclass(frozen=True, eq=False)
class BoxCam:
    """heat (h, w) from 0 to 1 at cells of `stride` pixels; score of the box's class, and iou of the
    refined box with the box itself: both from 0 to 1."""

    heat: Tensor
    stride: int
    score: float
    iou: float


def box_cam(view: View, box: Tensor, label: int) -> BoxCam:
    """Heat of `box` (4,) x1 y1 x2 y2 in network pixels, of class `label`.

    The box goes through the region head as if it had been proposed; the target is the score of its
    class plus the IoU of the refined box with it. Heat is the sum over channels of activation times
    gradient at the level that the box is read from, where it is positive. A SELSA head is asked
    without its references: the region alone.
    """
    roi = view.arm.detector.model.roi
    maps = [level.detach().float().requires_grad_() for level in view.pyramid.maps]
    region = box.to(maps[0]).reshape(1, 4)
    with torch.enable_grad():
        logits, deltas = roi(pool_regions(Features(tuple(maps), view.pyramid.strides), [region]))
        score = logits.softmax(1)[0, label]
        refined = roi.coder.decode(region, deltas[:, label])
        iou = box_iou(refined, region)[0, 0]
        level = int(pyramid_levels(region, view.pyramid.strides[0], len(maps) - 1)[0])
        (slope,) = torch.autograd.grad(score + iou, maps[level])
    stride = view.pyramid.strides[level]
    heat = (maps[level].detach() * slope)[0].sum(0).clamp(min=0).cpu()
    cells = heat[: -(-view.size[0] // stride), : -(-view.size[1] // stride)]
    return BoxCam(to_unit(cells), stride, float(score.detach()), float(iou.detach()))
