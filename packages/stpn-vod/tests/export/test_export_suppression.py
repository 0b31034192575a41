from __future__ import annotations

import pytest
import torch
from torchvision.ops import batched_nms

from stpn_vod.export.suppression import NOTHING, apart, surviving


def crowd(count: int, groups: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlapping boxes (groups, count, 4) and scores, some of them not there."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(groups, count, 2, generator=generator) * 60
    boxes = torch.cat([corner, corner + 5 + 30 * torch.rand(corner.shape, generator=generator)], -1)
    scores = torch.rand(groups, count, generator=generator).mul(50).round() / 50  # with ties
    return boxes, torch.where(scores < 0.2, NOTHING, scores)


@pytest.mark.parametrize("count", [40, 900])  # all groups at once, and one by one
def test_what_survives_is_what_batched_nms_keeps(count: int) -> None:
    boxes, scores = crowd(count, 3)
    there = scores >= 0
    group = torch.arange(3)[:, None].expand_as(scores)
    assert (int(there.sum()) > 1000) == (count == 900)
    expected = batched_nms(boxes[there], scores[there], group[there], 0.5)
    kept = surviving(apart(boxes, group, there), scores, 0.5)
    assert sorted(there.flatten().nonzero().squeeze(1)[expected].tolist()) == (
        kept.flatten().nonzero().squeeze(1).tolist()
    )
    assert 0 < len(expected) < int(there.sum())


def test_what_is_not_there_neither_survives_nor_suppresses() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 10, 10], [0, 0, 10, 10]]])
    assert surviving(boxes, torch.tensor([[0.9, 0.5, 0.4]]), 0.5).tolist() == [[True, False, False]]
    assert surviving(boxes, torch.tensor([[NOTHING, 0.5, 0.4]]), 0.5).tolist() == [
        [False, True, False]
    ]
