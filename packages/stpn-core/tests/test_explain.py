"""Attention as it is read, against what the modules compute, and against its definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_core import create_encoder, create_predictor
from stpn_core.errors import InputError
from stpn_core.explain import attention_weights, prompt_mass, support_weights, token_stride
from stpn_core.predictors.attention import AttentionPredictor
from stpn_core.predictors.average import AveragePredictor
from stpn_core.predictors.transformer import TransformerPredictor


def tiny_swin(depths: tuple[int, ...] = (2, 2)) -> Any:
    heads = tuple(2**i for i in range(len(depths)))
    encoder = create_encoder("swin", embed_dim=8, depths=depths, num_heads=heads, window=3).eval()
    for name, weight in encoder.named_parameters():
        if "qkv.weight" in name or "bias_table" in name:  # attention that is far from even
            torch.nn.init.normal_(weight, std=0.7)
    return encoder


def predictor_of(name: str, prompts: int = 3, **options: Any) -> Any:
    torch.manual_seed(1)
    return create_predictor(name, support_dim=12, prompt_dims=8, num_prompts=prompts, **options)


@pytest.mark.parametrize("mask", [None, "bool", "float"])
def test_weights_times_values_are_what_the_kernel_gives(mask: str | None) -> None:
    q, k, v = torch.randn(3, 2, 4, 5, 6).unbind(0)
    allowed = (torch.rand(5, 5) > 0.3) | torch.eye(5, dtype=torch.bool)
    given = {None: None, "bool": allowed, "float": torch.randn(5, 5)}[mask]
    out = []

    def run() -> None:
        out.append(F.scaled_dot_product_attention(q, k, v, given, scale=0.3))

    (weights,) = attention_weights(run, lambda w: w)
    assert torch.allclose(weights @ v, out[0], atol=1e-6)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 5))


def test_reading_changes_nothing_and_ends() -> None:
    torch.manual_seed(0)
    encoder, image, prompts = tiny_swin(), torch.randn(1, 3, 40, 28), torch.randn(1, 2, 8)
    with torch.no_grad():
        before = encoder(image, prompts).maps
        during = []
        calls = attention_weights(lambda: during.append(encoder(image, prompts).maps), torch.numel)
        after = attention_weights(lambda: None, torch.numel)
    assert len(calls) == 4
    assert after == []
    assert all(torch.equal(a, b) for a, b in zip(before, during[0], strict=True))


def test_attention_of_the_released_predictor_makes_its_prompts() -> None:
    predictor = predictor_of("attention", num_heads=1)
    assert isinstance(predictor, AttentionPredictor)
    support = torch.randn(2, 4, 3, 5, 12)
    weights = support_weights(predictor, support)
    assert weights is not None
    assert weights.shape == (2, 3, 4, 3, 5)
    with torch.no_grad():
        values = predictor.ref_fc(predictor.reduction(support.flatten(1, 3)))
        assert torch.allclose(
            predictor.fc(weights.flatten(2) @ values), predictor(support), atol=1e-6
        )


def test_attention_of_the_paper_s_predictor_makes_its_prompts() -> None:
    predictor = predictor_of("transformer", num_heads=1)
    assert isinstance(predictor, TransformerPredictor)
    support = torch.randn(2, 4, 3, 5, 12)
    weights = support_weights(predictor, support)
    assert weights is not None
    with torch.no_grad():
        tokens = predictor.token_norm(predictor.reduction(support.flatten(1, 3)))
        gathered = predictor.out_proj(weights.flatten(2) @ predictor.value_proj(tokens))
        x = predictor.ffn_norm(gathered + predictor.query)
        assert torch.allclose(predictor.ffn(x) + x, predictor(support), atol=1e-5)


@pytest.mark.parametrize("grid", [(3, 5), (1, 2)])
def test_choices_of_the_average_predictor_make_its_prompts(grid: tuple[int, int]) -> None:
    predictor = predictor_of("average")
    assert isinstance(predictor, AveragePredictor)
    support = torch.randn(2, 4, *grid, 12)
    valid = torch.tensor([[True] * 4, [True, False, True, False]])
    weights = support_weights(predictor, support, valid)
    assert weights is not None
    with torch.no_grad():
        prompts = predictor.reduction(weights.flatten(2) @ support.flatten(1, 3))
        assert torch.allclose(prompts, predictor(support, valid), atol=1e-5)


@pytest.mark.parametrize("name", ["attention", "transformer", "average"])
def test_invalid_frames_weigh_nothing(name: str) -> None:
    predictor = predictor_of(name, **({} if name == "average" else {"num_heads": 2}))
    support, valid = torch.randn(1, 3, 2, 2, 12), torch.tensor([[True, False, True]])
    weights = support_weights(predictor, support, valid)
    assert weights is not None
    assert weights[:, :, 1].abs().max() == 0
    assert torch.allclose(weights.sum((2, 3, 4)), torch.ones(1, 3))


def test_deep_prompts_share_their_look_and_others_have_none() -> None:
    deep = create_predictor("attention", support_dim=12, prompt_dims=(16, 32), num_prompts=3)
    support = torch.randn(1, 2, 2, 3, 12)
    weights = support_weights(deep, support)
    assert weights is not None
    assert weights.shape == (1, 3, 2, 2, 3)
    for name in ("mixer", "static"):
        assert support_weights(predictor_of(name), support) is None


def test_the_stride_of_tokens_is_that_of_the_last_layer() -> None:
    encoder = create_encoder("swin", embed_dim=8, depths=(1, 1, 1), num_heads=(1, 1, 1))
    short = create_encoder(
        "swin", embed_dim=8, depths=(1, 1, 1), num_heads=(1, 1, 1), out_indices=(0, 1)
    )
    assert token_stride(encoder) == token_stride(short) == 16
    with torch.no_grad():
        assert short.embed(torch.zeros(1, 3, 64, 72)).shape[1:3] == (4, 5)


def test_prompt_mass_of_the_first_swin_block_by_its_definition() -> None:
    """Window by window, token by token: 11 x 7 tokens are padded to 12 x 9."""
    torch.manual_seed(0)
    encoder = tiny_swin((1,))
    image, prompts = torch.randn(1, 3, 44, 28), 2 * torch.randn(1, 2, 8)
    (found,) = prompt_mass(encoder, image, prompts)
    assert found.mass.shape == (11, 7)
    assert found.block == "stage 1, block 1"
    block = encoder.body.layers[0].blocks[0]
    with torch.no_grad():
        x, p = block.norm1(encoder.body.patch_embed(image))[0], block.norm1(prompts)[0]
        padded = torch.zeros(12, 9, 8)
        padded[:11, :7] = x
        bias = block.attn._get_rel_pos_bias()[0, 0]
        for row in range(11):
            for column in range(7):
                top, left = row // 3 * 3, column // 3 * 3
                window = padded[top : top + 3, left : left + 3].reshape(9, 8)
                q, _, _ = block.attn.qkv(padded[row, column]).split(8)
                _, keys, _ = block.attn.qkv(torch.cat([p, window])).split(8, dim=-1)
                scores = keys @ q / 8**0.5
                scores[2:] += bias[(row - top) * 3 + column - left]
                expected = scores.softmax(0)[:2].sum()
                assert torch.allclose(found.mass[row, column], expected, atol=1e-5)
    assert torch.allclose(found.even, torch.full((11, 7), 2 / 11))
    assert found.mass.std() > 0.02  # or the comparison above could not fail


def test_even_attention_gives_the_even_share_also_where_windows_shift() -> None:
    torch.manual_seed(0)
    encoder = tiny_swin((2, 1))
    for name, weight in encoder.named_parameters():
        if "qkv" in name or "bias_table" in name:
            torch.nn.init.zeros_(weight)
    found = prompt_mass(encoder, torch.randn(1, 3, 52, 36), torch.randn(1, 4, 8))
    assert [m.block for m in found] == ["stage 1, block 1", "stage 1, block 2", "stage 2, block 1"]
    assert [tuple(m.mass.shape) for m in found] == [(13, 9), (13, 9), (7, 5)]
    assert [m.stride for m in found] == [4, 4, 8]
    for one in found:
        assert torch.allclose(one.mass, one.even, atol=1e-6)
    assert found[1].even.max() > found[0].even.max()  # the corner sees fewer tokens


def test_prompt_mass_with_deep_prompts_and_of_a_batch() -> None:
    encoder = tiny_swin((1, 1))
    prompts = [torch.randn(1, 2, 8), torch.randn(1, 2, 16)]
    assert len(prompt_mass(encoder, torch.randn(1, 3, 24, 24), prompts)) == 2
    with pytest.raises(InputError, match="one image at a time, got 2"):
        prompt_mass(encoder, torch.randn(2, 3, 24, 24), [p.expand(2, -1, -1) for p in prompts])


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch16_dinov3"])
def test_prompt_mass_of_a_vit(name: str) -> None:
    torch.manual_seed(0)
    encoder: Any = create_encoder(name, depth=2, embed_dim=24, num_heads=2).eval()
    image = torch.randn(1, 3, 32, 40)
    prompts = torch.randn(1, 3, 24)
    found = prompt_mass(encoder, image, prompts)
    assert [m.block for m in found] == ["block 1", "block 2"]
    assert [tuple(m.mass.shape) for m in found] == [(2, 3), (2, 3)]
    assert found[0].stride == token_stride(encoder) == 16
    others = 3 + 6 + encoder.body.num_prefix_tokens
    assert torch.allclose(found[0].even, torch.full((2, 3), 3 / others))
    attention: list[Tensor] = attention_weights(lambda: encoder(image, prompts), lambda w: w[0])
    first = encoder.body.num_prefix_tokens
    expected = attention[0][:, -6:, first : first + 3].sum(-1).mean(0)
    assert torch.allclose(found[0].mass.flatten(), expected)


def test_attention_that_cannot_be_read_is_refused() -> None:
    encoder: Any = create_encoder("vit_tiny_patch16_224", depth=2, embed_dim=24, num_heads=2).eval()
    encoder.body.blocks[1].attn.fused_attn = False
    with pytest.raises(InputError, match="1 of 2 blocks"):
        prompt_mass(encoder, torch.randn(1, 3, 32, 32), torch.randn(1, 3, 24))
    q = torch.randn(1, 1, 2, 4)
    with pytest.raises(NotImplementedError, match="causal"):
        attention_weights(lambda: F.scaled_dot_product_attention(q, q, q, is_causal=True), len)


@pytest.mark.parametrize("walk", ["bypass", "map"])
def test_cvt_s_mass_is_that_of_its_definition(walk: str) -> None:
    torch.manual_seed(2)
    encoder: Any = create_encoder(
        "cvt", dims=(8, 12), depths=(1, 2), num_heads=(1, 2), prompt_attention=walk
    ).eval()
    for name, weight in encoder.named_parameters():
        if "proj_q.weight" in name or "proj_k.weight" in name:  # attention that is far from even
            torch.nn.init.normal_(weight, std=2)
    image, prompts = torch.randn(1, 3, 44, 36), torch.randn(1, 9, 8)
    widths = [(1, 8), (2, 6), (2, 6)]
    beside = [tuple(torch.randn(2, 1, heads, 5, width)) for heads, width in widths]
    every: list[Tensor] = attention_weights(lambda: encoder(image, prompts, beside), lambda w: w)
    found = prompt_mass(encoder, image, prompts, beside)
    assert [one.block for one in found] == [
        "stage 1, block 1",
        "stage 2, block 1",
        "stage 2, block 2",
    ]
    assert [(one.stride, tuple(one.mass.shape)) for one in found] == [
        (4, (11, 9)), (8, (6, 5)), (8, (6, 5))
    ]  # fmt: skip
    count = 9 if walk == "bypass" else 4
    for weights, one in zip(every, found, strict=True):
        seen = weights[0, :, -one.mass.numel() :].mean(0)
        area = ((one.mass.shape[0] + 1) // 2) * ((one.mass.shape[1] + 1) // 2)
        assert seen.shape[1] == 5 + count + area
        assert torch.allclose(one.mass.flatten(), seen[:, 5 : 5 + count].sum(1), atol=1e-6)
        assert one.beside is not None
        assert torch.allclose(one.beside.flatten(), seen[:, :5].sum(1), atol=1e-6)
        assert torch.allclose(one.even, torch.full_like(one.even, count / seen.shape[1]))
    assert prompt_mass(encoder, image, prompts)[0].beside is None
