"""Feature pyramid."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from stpn_core import Features
from stpn_vod.fpn import FeaturePyramid


def _features(height: int = 37, width: int = 50) -> Features:
    generator = torch.Generator().manual_seed(0)
    maps = tuple(
        torch.randn(2, 8 * s, -(-height // s), -(-width // s), generator=generator)
        for s in (4, 8, 16, 32)
    )
    return Features(maps, (4, 8, 16, 32))


def test_one_more_level_and_odd_sizes():
    pyramid = FeaturePyramid([32, 64, 128, 256], 6)(_features())
    assert pyramid.strides == (4, 8, 16, 32, 64)
    assert [tuple(m.shape) for m in pyramid.maps] == [
        (2, 6, 10, 13),
        (2, 6, 5, 7),
        (2, 6, 3, 4),
        (2, 6, 2, 2),
        (2, 6, 1, 1),
    ]
    assert torch.equal(pyramid.maps[4], pyramid.maps[3][..., ::2, ::2])


def test_coarse_levels_reach_the_finest_and_not_the_other_way():
    fpn, features = FeaturePyramid([32, 64, 128, 256], 6), _features()
    before = fpn(features).maps
    features.maps[3][:] += 1
    after = fpn(features).maps
    assert all(not torch.allclose(a, b) for a, b in zip(before[:4], after[:4], strict=True))
    features = _features()
    features.maps[0][:] += 1
    fine = fpn(features).maps
    assert all(torch.equal(a, b) for a, b in zip(before[1:], fine[1:], strict=True))


def test_initialisation():
    fpn = FeaturePyramid([256, 256], 256)
    bound = (6 / (256 * 9 * 2)) ** 0.5
    weight = fpn.output[0].weight
    assert weight.abs().max() <= bound
    assert_close(weight.std(), torch.tensor(bound / 3**0.5), rtol=0.02, atol=0)
    assert all(not p.any() for name, p in fpn.named_parameters() if name.endswith("bias"))
