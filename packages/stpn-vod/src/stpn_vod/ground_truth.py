"""Annotations are checked once, before they meet a network that would spread a NaN everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_core.errors import InputError


def check_ground_truth(
    boxes: Sequence[Tensor], labels: Sequence[Tensor], sizes: Tensor, num_classes: int
) -> None:
    """Raise InputError unless all annotations of a batch are usable.

    Every box (G_b, 4) must be finite, have x1 < x2 and y1 < y2, and stay within one image side of
    its image; every label (G_b,) must be in [0, num_classes).

    The bound on how far a box may reach outside keeps RoIAlign, whose samples grow with the region,
    from taking all memory. sizes (B, 2) h, w. One wait for the device per batch.
    """
    if not len(boxes) == len(labels) == len(sizes):
        raise InputError(
            f"{len(sizes)} images, but boxes of {len(boxes)} and labels of {len(labels)}"
        )
    for row, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        if box.ndim != 2 or box.shape[1] != 4 or label.shape != box.shape[:1]:
            raise InputError(
                f"image {row} of the batch: boxes {tuple(box.shape)} with labels "
                f"{tuple(label.shape)}; expected (n, 4) and (n,)"
            )
    counts = torch.tensor([len(box) for box in boxes])
    image = torch.arange(len(boxes)).repeat_interleave(counts)
    box, label = torch.cat(list(boxes)), torch.cat(list(labels))
    side = sizes.to(box).amax(dim=1)[image.to(sizes.device)].to(box.device)[:, None]
    reasons = {
        "is not finite": ~box.isfinite().all(dim=1),
        "needs x1 < x2 and y1 < y2": ~(box[:, :2] < box[:, 2:]).all(dim=1),
        "lies far outside its image": ~((box >= -side) & (box <= 2 * side)).all(dim=1),
        f"has a label outside 0..{num_classes - 1}": (label < 0) | (label >= num_classes),
    }
    wrong = torch.stack(list(reasons.values()))
    if not wrong.any():
        return
    for reason, bad in zip(reasons, wrong.cpu(), strict=True):
        if bad.any():
            first = int(bad.nonzero()[0])
            row = int(image[first])
            height, width = sizes[row].tolist()
            raise InputError(
                f"image {row} of the batch ({width}×{height} px): box {box[first].tolist()} with "
                f"label {int(label[first])} {reason} ({int(bad.sum())} such boxes in the batch); "
                "check the annotations with `stpn data check`"
            )
