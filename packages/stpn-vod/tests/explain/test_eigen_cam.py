"""EigenCAM against the `grad-cam` package, and what is our own about it by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stpn_core import Features
from stpn_vod.explain.eigen_cam import (
    box_mask,
    common_stride,
    coverage,
    eigen_cam,
    heat_inside,
    joined_levels,
    principal_map,
)

# pytorch_grad_cam 1.5.7: get_2d_projection(fasterrcnn_reshape_transform(levels)) on `levels()`
PACKAGE = [
    [-0.80621, -0.35841, 0.11993, 0.39753, 0.63921],
    [-0.80739, -0.37127, 0.18478, 0.44940, 0.51121],
    [-0.80579, -0.33619, 0.09222, 0.58984, 0.52726],
    [-0.79203, -0.39302, 0.19031, 0.36776, 0.60087],
]


def levels() -> Features:
    fine = torch.sin(torch.arange(3 * 16 * 20).float() * 0.37).reshape(1, 3, 16, 20)
    fine = fine * torch.linspace(0.2, 1.5, 20)
    middle, coarse = torch.sin(fine[:, :, ::2, ::2] * 3), torch.cos(fine[:, :, ::4, ::4] * 2)
    return Features((fine, middle, coarse), (4, 8, 16))


def test_equals_the_package_up_to_its_sign() -> None:
    joined = joined_levels(levels(), 16, (64, 80))
    assert joined.shape == (9, 4, 5)
    actual, expected = principal_map(joined), torch.tensor(PACKAGE)
    sign = torch.sign((actual * expected).sum())
    assert torch.allclose(sign * actual, expected, atol=2e-5)


def test_hot_is_the_side_of_the_boxes() -> None:
    left, right = torch.tensor([[0.0, 0, 20, 64]]), torch.tensor([[60.0, 0, 80, 64]])
    for boxes in (left, right):
        heat = eigen_cam(levels(), (64, 80), boxes, 16)
        assert float(heat.max()) == 1
        inside, area = heat_inside(heat, 16, boxes, (64, 80))
        assert inside > area == pytest.approx(0.25)
    flipped = eigen_cam(levels(), (64, 80), left, 16), eigen_cam(levels(), (64, 80), right, 16)
    assert not (flipped[0].bool() & flipped[1].bool()).any()


@pytest.mark.parametrize("boxes", [torch.zeros(0, 4), torch.tensor([[0.0, 0, 80, 64]])])
def test_boxes_that_decide_nothing_leave_the_sign_to_the_activations(boxes: Tensor) -> None:
    assert torch.equal(
        eigen_cam(levels(), (64, 80), boxes, 16), eigen_cam(levels(), (64, 80), None, 16)
    )


def test_cells_on_the_padding_play_no_part() -> None:
    pyramid = levels()
    other = [m.clone() for m in pyramid.maps]
    other[2][..., 3:, :] = 100
    heat = eigen_cam(pyramid, (48, 80), stride=16)
    assert heat.shape == (3, 5)
    noisy = Features((pyramid.maps[0], pyramid.maps[1], other[2]), pyramid.strides)
    assert torch.equal(heat, eigen_cam(noisy, (48, 80), stride=16))


def test_a_frame_without_structure_has_no_heat() -> None:
    flat = Features((torch.ones(1, 2, 8, 8),), (4,))
    assert float(eigen_cam(flat, (32, 32)).max()) == 0
    assert heat_inside(torch.zeros(8, 8), 4, torch.tensor([[0.0, 0, 9, 9]]), (32, 32))[0] == 0


@pytest.mark.parametrize(
    ("size", "stride"), [((600, 1000), 64), ((338, 600), 32), ((112, 112), 16), ((20, 20), 4)]
)
def test_the_scale_is_the_supplement_s_unless_the_image_is_small(
    size: tuple[int, int], stride: int
) -> None:
    strides = (4, 8, 16, 32, 64)
    pyramid = Features(tuple(torch.zeros(1, 1, 1, 1) for _ in strides), strides)
    assert common_stride(pyramid, size) == stride


def test_masks_and_coverage_by_hand() -> None:
    boxes = torch.tensor([[0.0, 0, 2, 1], [3.0, 1, 9, 9]])
    expected = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]).bool()
    assert torch.equal(box_mask(boxes, (3, 4)), expected)
    assert coverage(boxes, (3, 4), 2).tolist() == [[0.5, 0.25], [0.0, 0.25]]
    heat = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    # cells of 2 pixels: 4 x 3 and, cut off below, 2 x 1
    inside, area = heat_inside(heat, 2, boxes, (3, 4))
    assert (inside, area) == (pytest.approx((2 * 3 + 1) / 14), pytest.approx(4 / 12))
