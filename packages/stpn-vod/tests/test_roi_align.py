"""Pooling of regions: reference tensors, level choice, and images that must not mix."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from stpn_core import Features
from stpn_vod.roi_align import pool_regions, pyramid_levels


def _pyramid(batch: int = 1, channels: int = 3, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    sides = (16, 8, 4, 2, 1)
    maps = tuple(torch.randn(batch, channels, s, s, generator=generator) for s in sides)
    return Features(maps, (4, 8, 16, 32, 64))


def test_equals_the_released_implementation(golden):
    tensors, _ = golden("vod/e6_roi_extractor")
    maps = tuple(tensors[f"in.feat{i}"] for i in range(4))
    rois = tensors["in.rois"]
    assert torch.equal(pyramid_levels(rois[:, 1:], 4, 4), tensors["out.levels"].long())
    images = [rois[rois[:, 0] == i, 1:] for i in range(maps[0].shape[0])]
    # the coarsest level is for the RPN alone: whatever it holds is not read
    pyramid = Features((*maps, torch.full_like(maps[-1], torch.nan)), (4, 8, 16, 32, 64))
    assert rois[:, 0].diff().ge(0).all(), "rows must come image by image for this comparison"
    assert_close(pool_regions(pyramid, images), tensors["out.roi_feats"], atol=1e-4, rtol=0)


def test_level_changes_at_112_224_448():
    sides = torch.tensor([1.0, 111.9, 112.0, 223.9, 224.0, 447.9, 448.0, 4000.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], dim=1)
    assert pyramid_levels(boxes, 4, 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_each_image_reads_its_own_features():
    pyramid = _pyramid(batch=2)
    boxes = [torch.tensor([[1.0, 2.0, 30.0, 40.0]]), torch.tensor([[3.0, 3.0, 60.0, 60.0]])]
    noisy = Features(tuple(m.clone() for m in pyramid.maps), pyramid.strides)
    for level in noisy.maps:
        level[1] = torch.nan
    pooled = pool_regions(noisy, boxes)
    assert torch.equal(pooled[0], pool_regions(pyramid, boxes)[0])
    assert pooled[1].isnan().all(), "control: the second image does read the noise"


def test_boxes_of_more_images_than_features_are_refused():
    with pytest.raises(ValueError, match="boxes of 2 images for features of 1"):
        pool_regions(_pyramid(batch=1), [torch.zeros(1, 4), torch.zeros(1, 4)])


def test_no_regions_give_an_empty_result():
    empty = torch.zeros(0, 4)
    assert pool_regions(_pyramid(batch=2), [empty, empty]).shape == (0, 3, 7, 7)


def test_half_precision_features_are_pooled_in_float32():
    pyramid = _pyramid()
    half = Features(tuple(m.bfloat16() for m in pyramid.maps), pyramid.strides)
    boxes = [torch.tensor([[1.0, 2.0, 30.0, 40.0], [0.0, 0.0, 150.0, 150.0]])]
    pooled = pool_regions(half, boxes)
    assert pooled.dtype == torch.float32
    assert_close(pooled, pool_regions(pyramid, boxes), atol=0.05, rtol=0)
