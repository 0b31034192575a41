"""Unusable annotations stop before the first layer, with their place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.errors import InputError
from stpn_vod.ground_truth import check_ground_truth

SIZES = torch.tensor([[100, 200], [50, 60]])
GOOD = [torch.tensor([[0.0, 0.0, 200.0, 100.0]]), torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 2)]
LABELS = [torch.tensor([0]), torch.tensor([29, 3])]


def test_good_and_empty_annotations_pass():
    check_ground_truth(GOOD, LABELS, SIZES, 30)
    nothing, no_label = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    check_ground_truth([nothing, nothing], [no_label, no_label], SIZES, 30)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ([1.0, float("nan"), 3.0, 4.0], "is not finite"),
        ([1.0, 2.0, float("inf"), 4.0], "is not finite"),
        ([3.0, 2.0, 1.0, 4.0], "needs x1 < x2 and y1 < y2"),
        ([1.0, 2.0, 1.0, 4.0], "needs x1 < x2 and y1 < y2"),
        ([1.0, 2.0, 1e6, 4.0], "lies far outside its image"),
        ([-61.0, 2.0, 5.0, 4.0], "lies far outside its image"),
    ],
)
def test_bad_box_is_named(box, reason):
    boxes = [GOOD[0], torch.tensor([[1.0, 2.0, 3.0, 4.0], box])]
    with pytest.raises(InputError, match=rf"image 1 of the batch \(60×50 px\).*{reason}"):
        check_ground_truth(boxes, LABELS, SIZES, 30)


@pytest.mark.parametrize("label", [-1, 30])
def test_bad_label_is_named(label):
    with pytest.raises(InputError, match=r"image 0 of the batch.*label outside 0\.\.29"):
        check_ground_truth(GOOD, [torch.tensor([label]), LABELS[1]], SIZES, 30)


def test_counts_and_shapes_must_agree():
    with pytest.raises(InputError, match="2 images, but boxes of 1"):
        check_ground_truth(GOOD[:1], LABELS, SIZES, 30)
    with pytest.raises(InputError, match=r"boxes \(1, 4\) with labels \(2,\)"):
        check_ground_truth(GOOD, LABELS[::-1], SIZES, 30)


anything = st.floats(width=32) | st.sampled_from([0.0, 60.0, 1e6, -1e6])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(anything, anything, anything, anything), max_size=4))
def test_what_passes_is_finite_ordered_and_near(rows):
    boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    usable = all(
        all(abs(v) <= 120 and v >= -60 for v in row) and row[0] < row[2] and row[1] < row[3]
        for row in boxes.tolist()
    )
    labels = torch.zeros(len(boxes), dtype=torch.int64)
    if usable:
        check_ground_truth([boxes], [labels], SIZES[1:], 30)
    else:
        with pytest.raises(InputError):
            check_ground_truth([boxes], [labels], SIZES[1:], 30)
