"""The query decoder against tensors computed by the released implementation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from stpn_vis.query_decoder import QueryDecoder

from .weights_of import golden_state


@pytest.fixture(params=[0, 1])
def case(golden, request) -> tuple[QueryDecoder, dict[str, Tensor], dict]:
    tensors, about = golden(f"vis/C_decoder_{request.param}")
    config = about["config"]
    decoder = QueryDecoder(
        config["num_classes"],
        config["hidden_dim"],
        config["mask_dim"],
        queries=config["num_queries"],
        layers=config["dec_layers"],
        ffn=config["ffn_dim"],
        heads=config["nheads"],
    ).eval()
    decoder.load_state_dict(golden_state(tensors, "decoder."))
    return decoder, tensors, about


def _levels(tensors: dict[str, Tensor]) -> list[Tensor]:
    return [tensors[f"in.multi_scale.{i}"] for i in range(3)]


@torch.no_grad()
def test_golden_predictions_of_every_layer(case):
    decoder, tensors, about = case
    features = tensors["in.mask_features"]
    normed = decoder(features, _levels(tensors))
    bounds = about["tolerance"]
    assert_close(
        torch.stack([decoder.classify(n) for n in normed]),
        tensors["out.logits"],
        **bounds["logits"],
    )
    assert_close(
        torch.stack([decoder.masks(n, features) for n in normed]),
        tensors["out.masks"],
        **bounds["masks"],
    )
    assert_close(normed[-1], tensors["out.embds"], **bounds["embds"])
    assert_close(decoder.norm(tensors["out.final_query"]), normed[-1], **bounds["embds"])


@torch.no_grad()
def test_golden_attention_masks_from_shrunk_features(case):
    """Shrinking the features and then multiplying forbids what the released code forbids, which
    multiplies first and shrinks the masks."""
    decoder, tensors, about = case
    features = tensors["in.mask_features"]
    levels = _levels(tensors)
    normed = decoder(features, levels)
    released = 0
    for layer in range(len(decoder.layers)):
        size = levels[layer % 3].shape[-2:]
        small = F.interpolate(features, size, mode="bilinear", align_corners=False)
        forbidden = tensors[f"out.forbidden.{layer}"].bool()
        rows = forbidden.all(-1)
        released += int(rows.sum())
        allowed = decoder.attended_cells(normed[layer], small)
        assert torch.equal(allowed, ~forbidden | rows[..., None])
        full = F.interpolate(
            decoder.masks(normed[layer], features), size, mode="bilinear", align_corners=False
        )
        assert_close(decoder.masks(normed[layer], small), full, atol=1e-5, rtol=1e-5)
    assert released == about["fully_forbidden_rows"] > 0


def test_a_frame_depends_on_itself_alone():
    torch.manual_seed(0)
    decoder = QueryDecoder(3, 32, 16, queries=5, layers=4, ffn=32, heads=4)
    features = torch.randn(2, 16, 16, 24)
    levels = [torch.randn(2, 32, *size) for size in ((2, 3), (4, 6), (8, 12))]
    expected = decoder(features, levels)
    features[1], levels[0][1] = torch.nan, 1e4
    for before, after in zip(expected, decoder(features, levels), strict=True):
        assert torch.equal(before[0], after[0])
        assert not torch.equal(expected[-1][1], decoder(features, levels)[-1][1])
