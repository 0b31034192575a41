"""The pixel decoder against tensors computed by the released implementation."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from stpn_core import Features
from stpn_vis.pixel_decoder import PixelDecoder

from .weights_of import golden_state

STRIDES = (4, 8, 16, 32)


@pytest.mark.parametrize("sampling", ["grid_sample", "embedding_bag"])
@pytest.mark.parametrize("case", [0, 1])
def test_golden(golden, case, sampling):
    tensors, about = golden(f"vis/B_pixel_decoder_{case}")
    config = about["config"]
    decoder = PixelDecoder(
        config["in_channels"],
        config["conv_dim"],
        config["mask_dim"],
        layers=config["enc_layers"],
        ffn=config["encoder_ffn_dim"],
        heads=config["nheads"],
        sampling=sampling,
    )
    decoder.load_state_dict(golden_state(tensors, "pixel_decoder."))
    features = Features(tuple(tensors[f"in.res{i}"] for i in range(2, 6)), STRIDES)
    first = []
    decoder.layers[0].register_forward_hook(lambda m, i, output: first.append(output))
    mask_features, levels = decoder(features)
    bounds = about["tolerance"]
    assert_close(first[0], tensors["out.encoder_layer.0"], **bounds)
    assert_close(mask_features, tensors["out.mask_features"], **bounds)
    for index, level in enumerate(levels):
        assert_close(level, tensors[f"out.multi_scale.{index}"], **bounds)


def _features(dtype: torch.dtype = torch.float32) -> Features:
    torch.manual_seed(0)
    sizes = ((16, 24), (8, 12), (4, 6), (2, 3))
    return Features(
        tuple(torch.randn(1, 4 * 2**i, *size).to(dtype) for i, size in enumerate(sizes)), STRIDES
    )


def test_it_computes_in_float32_under_autocast():
    decoder = PixelDecoder((4, 8, 16, 32), 32, 16, layers=1, ffn=32, heads=4)
    features = _features(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mask_features, levels = decoder(features)
    whole = Features(tuple(m.float() for m in features.maps), STRIDES)
    expected, expected_levels = decoder(whole)
    assert torch.equal(mask_features, expected)
    assert all(torch.equal(a, b) for a, b in zip(levels, expected_levels, strict=True))
    assert mask_features.dtype == torch.float32


def test_any_number_of_levels():
    decoder = PixelDecoder((4, 8, 16), 32, 16, layers=1, ffn=32, heads=4)
    features = _features()
    mask_features, levels = decoder(Features(features.maps[:3], STRIDES[:3]))
    assert mask_features.shape == (1, 16, 16, 24)
    assert [tuple(level.shape[2:]) for level in levels] == [(4, 6), (8, 12)]
