"""Annotations are checked once, before they meet a network that would spread a NaN everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_vis.predictions import Target


def checked_targets(targets: Sequence[Target], images: Tensor, num_classes: int) -> list[Target]:
    """The targets on the device of the images (B, 3, H, W).

    Raises InputError unless there is one for each image, with masks of the image's size and labels
    in [0, num_classes). One wait for the device per batch.
    """
    if len(targets) != len(images):
        raise InputError(f"{len(images)} images, but targets of {len(targets)}")
    size = tuple(images.shape[2:])
    for row, target in enumerate(targets):
        masks, labels = target.masks, target.labels
        if masks.ndim != 3 or len(masks) != len(labels) or tuple(masks.shape[1:]) != size:
            raise InputError(
                f"image {row} of the batch: masks {tuple(masks.shape)} with labels "
                f"{tuple(labels.shape)}; expected (n, {size[0]}, {size[1]}) and (n,)"
            )
        if masks.dtype not in (torch.bool, torch.uint8):
            raise InputError(
                f"image {row} of the batch: masks are {masks.dtype}, not bool or uint8"
            )
    labels = torch.cat([target.labels for target in targets])
    if ((labels < 0) | (labels >= num_classes)).any():
        wrong = next(
            (row, label)
            for row, target in enumerate(targets)
            for label in target.labels.tolist()
            if not 0 <= label < num_classes
        )
        raise InputError(
            f"image {wrong[0]} of the batch: label {wrong[1]} is outside 0..{num_classes - 1}; "
            "check the annotations with `stpn data check`"
        )
    device = images.device
    return [Target(t.labels.to(device), t.masks.to(device) > 0) for t in targets]
