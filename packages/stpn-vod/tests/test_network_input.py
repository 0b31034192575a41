from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_vod.build import build_detector
from stpn_vod.network_input import to_network


@pytest.mark.parametrize(("pad_to", "shape"), [(32, (96, 128)), (16, (80, 112)), (1, (70, 101))])
def test_padded_to_multiples_with_zeros_after_normalising(detector, pad_to, shape):
    model = build_detector(dataclasses.replace(detector.config, pad_to=pad_to))
    found = to_network(model, torch.full((3, 70, 101), 255, dtype=torch.uint8))
    assert found.shape == (3, *shape)
    assert (found[:, :70, :101] > 1).all()
    assert not found[:, 70:].any()
    assert not found[:, :, 101:].any()
