"""Which annotated box a reference answers for."""

from __future__ import annotations

import torch

from stpn_vod.matching import BACKGROUND, IGNORED, Matcher

# one row of unit-height boxes: IoU with [0, 10] is easy to read off
ANNOTATED = torch.tensor([[0.0, 0.0, 10.0, 1.0]])


def _widths(*widths: float) -> torch.Tensor:
    return torch.tensor([[0.0, 0.0, w, 1.0] for w in widths])


def test_three_bands():
    matcher = Matcher(positive=0.7, negative=0.3, low_quality=None)
    assert matcher(ANNOTATED, _widths(10, 7, 6.9, 3, 2.9)).tolist() == [
        0,
        0,
        IGNORED,
        IGNORED,
        BACKGROUND,
    ]


def test_low_quality_takes_every_tie_above_its_floor():
    matcher = Matcher(positive=0.7, negative=0.3, low_quality=0.3)
    assert matcher(ANNOTATED, _widths(5, 5, 4)).tolist() == [0, 0, IGNORED]
    assert matcher(ANNOTATED, _widths(2, 2, 1)).tolist() == [BACKGROUND] * 3


def test_low_quality_may_take_from_a_better_match_and_the_later_box_wins():
    annotated = torch.tensor([[0.0, 0.0, 10.0, 1.0], [0.0, 0.0, 8.0, 1.0], [0.0, 0.0, 6.0, 1.0]])
    reference = _widths(10)
    assert Matcher(0.5, 0.5, low_quality=None)(annotated, reference).tolist() == [0]
    assert Matcher(0.5, 0.5, low_quality=0.5)(annotated, reference).tolist() == [2]


def test_nothing_annotated_or_nothing_to_match():
    matcher = Matcher(0.5, 0.5, low_quality=0.5)
    assert matcher(torch.zeros(0, 4), _widths(1, 2)).tolist() == [BACKGROUND] * 2
    assert matcher(ANNOTATED, torch.zeros(0, 4)).shape == (0,)


def test_released_roi_assignment(golden):
    tensors, _ = golden("vod/e5_roi_targets")
    matcher = Matcher(0.5, 0.5, low_quality=0.5)
    matches = matcher(tensors["in.gt_boxes"], tensors["in.proposals"])
    assert torch.equal(matches + 1, tensors["out.assigned_gt_inds"].long())
