"""Which regions the second stage learns from, and what it should say about them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_vod.boxes import BoxCoder
from stpn_vod.matching import Matcher
from stpn_vod.sampling import Sampler


@dataclass(frozen=True)
class RegionTargets:
    """Sampled regions of one image, objects first.

    regions (S, 4) in network pixels; labels (S,), the number of classes meaning background; deltas
    (p, 4) of the p regions that are objects.
    """

    regions: Tensor
    labels: Tensor
    deltas: Tensor


def region_targets(
    proposals: Tensor,
    boxes: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    matcher: Matcher,
    sampler: Sampler,
    coder: BoxCoder,
    generator: torch.Generator | None = None,
) -> RegionTargets:
    """Proposals (n, 4), annotated boxes (G, 4) and labels (G,) of one image.

    Annotated boxes stand in front of the proposals and match themselves; they take no part in the
    matching of the proposals.
    """
    candidates = torch.cat([boxes, proposals])
    themselves = torch.arange(len(boxes), device=boxes.device)
    matches = torch.cat([themselves, matcher(boxes, proposals)])
    positive, negative = sampler(matches, generator)
    object_of = matches[positive]
    background = labels.new_full((len(negative),), num_classes)
    return RegionTargets(
        candidates[torch.cat([positive, negative])],
        torch.cat([labels[object_of], background]),
        coder.encode(candidates[positive], boxes[object_of]),
    )
