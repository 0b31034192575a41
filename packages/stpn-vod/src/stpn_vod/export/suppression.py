"""Non-maximum suppression with fixed shapes, as one operator that ONNX has, too.

G groups (classes, or levels), R boxes of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torchvision.ops import nms

NOTHING = -1.0
"""Score of a place that holds no box: such a place neither survives nor suppresses."""
_JOINED = 1000  # torchvision suppresses all groups at once up to this many boxes on a CPU


@torch.library.custom_op("stpn_vod::surviving", mutates_args=())
def surviving(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    """Boxes (G, R, 4), scores (G, R) -> bool (G, R): what is left of each group by itself.

    Where scores tie, the earlier box wins. A box with a negative score is not there.
    """
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for group in range(len(scores)):
        there = (scores[group] >= 0).nonzero().squeeze(1)
        kept[group, there[nms(boxes[group, there], scores[group, there], iou)]] = True
    return kept


@surviving.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float) -> Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def apart(boxes: Tensor, groups: Tensor, there: Tensor) -> Tensor:
    """Boxes (…, 4) moved as `torchvision.ops.batched_nms` moves them, for the same rounding.

    groups (…) numbers, there (…) bool. With few boxes it shifts each group to a place of its own,
    where coordinates are coarser; with many it leaves them and takes group by group.
    """
    boxes = torch.where(there[..., None], boxes, 0.0)
    offsets = groups.to(boxes) * (boxes.max() + 1)
    return torch.where(there.sum() <= _JOINED, boxes + offsets[..., None], boxes)


def onnx_translation() -> dict[Callable[..., Any], Callable[..., Any]]:
    """How `surviving` and a stable sort are written in ONNX, for `custom_translation_table` of
    `torch.onnx.export`."""
    import onnxscript
    from onnxscript import opset18

    op: Any = opset18

    def translate(boxes: Any, scores: Any, iou: float) -> Any:
        # a group is a row of the batch, for ONNX's classes share their boxes
        found = op.NonMaxSuppression(
            boxes,
            op.Unsqueeze(scores, op.Constant(value_ints=[1])),
            op.Constant(value_ints=[2**31 - 1]),
            op.Constant(value_floats=[iou]),
            op.Constant(value_floats=[NOTHING / 2]),
        )
        places = op.Gather(found, op.Constant(value_ints=[0, 2]), axis=1)
        none = op.Expand(op.Constant(value_float=0.0), op.Shape(scores))
        ones = op.Expand(op.Constant(value_float=1.0), op.Shape(places, start=0, end=1))
        return op.Cast(op.ScatterND(none, places, ones), to=onnxscript.BOOL.dtype)

    def translate_sort(
        values: Any, stable: bool = True, dim: int = -1, descending: bool = False
    ) -> Any:
        # TopK is stable by its definition
        length = op.Shape(values, start=-1)
        return op.TopK(values, length, axis=dim, largest=int(descending), sorted=1)

    return {
        torch.ops.stpn_vod.surviving.default: translate,
        torch.ops.aten.sort.stable: translate_sort,
    }
