"""Overlap and box coder: properties, and tensors computed by the released implementation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from stpn_vod.boxes import MAX_LOG_RATIO, BoxCoder, areas, clip, iou

coordinate = st.floats(-1e4, 1e4, width=32)


@st.composite
def boxes(draw, low: int = 0, high: int = 6):
    rows = draw(st.lists(st.tuples(*[coordinate] * 4), min_size=low, max_size=high))
    corners = torch.tensor(rows, dtype=torch.float64).reshape(-1, 2, 2)
    return torch.cat([corners.amin(1), corners.amax(1)], dim=1)


@settings(max_examples=300, deadline=None)
@given(boxes(), boxes())
def test_iou_is_symmetric_and_between_0_and_1(a, b):
    overlap = iou(a, b)
    assert overlap.shape == (len(a), len(b))
    assert ((overlap >= 0) & (overlap <= 1 + 1e-9)).all()
    assert_close(overlap, iou(b, a).T)


@settings(max_examples=300, deadline=None)
@given(boxes(), coordinate)
def test_iou_with_itself_is_1_or_0_without_area_and_ignores_translation(a, shift):
    itself = iou(a, a).diagonal()
    # the smallest union is 1e-6 square pixels, which keeps flat boxes from dividing by zero
    solid = areas(a) > 1e-6
    assert_close(itself[solid], torch.ones_like(itself[solid]))
    assert (itself[areas(a) == 0] == 0).all()
    big = areas(a) > 1
    assert_close(iou(a + shift, a + shift)[big][:, big], iou(a, a)[big][:, big], atol=1e-6, rtol=0)


def test_iou_by_hand():
    a = torch.tensor([[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 5.0, 9.0]])
    b = torch.tensor([[1.0, 1.0, 3.0, 3.0], [2.0, 0.0, 4.0, 2.0]])
    assert_close(iou(a, b), torch.tensor([[1 / 7, 0.0], [0.0, 0.0]]))


def test_half_precision_boxes_are_widened():
    wide = torch.tensor([[2049.0, 0.0, 2051.0, 2.0]])
    assert iou(wide.half(), wide.half()).dtype == torch.float32
    assert BoxCoder().decode(wide.bfloat16(), torch.zeros(1, 4).half()).dtype == torch.float32


@settings(max_examples=300, deadline=None)
@given(boxes())
def test_clip_is_idempotent_and_inside(a):
    inside = clip(a, torch.tensor([30, 40]))
    assert (inside >= 0).all()
    assert (inside[:, 0::2] <= 40).all()
    assert (inside[:, 1::2] <= 30).all()
    assert torch.equal(inside, clip(inside, torch.tensor([30, 40])))


def test_clip_takes_one_size_for_each_image():
    a = torch.full((2, 3, 4), 100.0)
    clipped = clip(a, torch.tensor([[10, 20], [30, 40]])[:, None])
    assert clipped[0, 0].tolist() == [20, 10, 20, 10]
    assert clipped[1, 2].tolist() == [40, 30, 40, 30]


@settings(max_examples=200, deadline=None)
@given(boxes(1), boxes(1), st.sampled_from([(1.0,) * 4, (0.2,) * 4, (0.1, 0.1, 0.2, 0.2)]))
def test_decode_inverts_encode(a, b, stds):
    count = min(len(a), len(b))
    a, b = a[:count], b[:count]
    a[:, 2:] += 1
    b[:, 2:] += 1
    ratio = ((b[:, 2:] - b[:, :2]) / (a[:, 2:] - a[:, :2])).log().abs().amax(1)
    coder = BoxCoder(stds)
    back = coder.decode(a, coder.encode(a, b))
    ok = ratio < MAX_LOG_RATIO
    assert_close(back[ok], b[ok], atol=1e-6, rtol=1e-6)


def test_absurd_deltas_stay_finite():
    decoded = BoxCoder().decode(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.full((1, 4), 1e4))
    assert decoded.isfinite().all()
    assert_close(decoded[0, 2] - decoded[0, 0], torch.tensor(10 * 1000 / 16), atol=0.1, rtol=0)


def _clip_as(case: dict, decoded: Tensor) -> Tensor:
    return decoded if case["max_shape"] is None else clip(decoded, torch.tensor(case["max_shape"]))


@pytest.mark.parametrize("number", range(7))
def test_coder_equals_the_released_implementation(golden, number):
    tensors, description = golden("vod/e7_bbox_coder")
    case = description["config"]["cases"][number]
    coder, name = BoxCoder(tuple(case["stds"])), case["name"]
    reference = tensors[f"in.{name}.boxes"]
    if case["op"] == "encode":
        got, expected = coder.encode(reference, tensors[f"in.{name}.gt"]), f"out.{name}.deltas"
    else:
        deltas = tensors[f"in.{name}.deltas"].unflatten(1, (-1, 4))
        got = _clip_as(case, coder.decode(reference, deltas)).flatten(1)
        expected = f"out.{name}.boxes"
    target = tensors[expected]
    assert_close(got, target, atol=1e-5 * max(1.0, float(target.abs().max())), rtol=0)
