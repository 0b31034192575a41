"""Prompted Swin against the released implementation, timm, and its own promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import DropPath
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor

from stpn_core import create_encoder
from stpn_core.errors import InputError
from stpn_core.swin import SwinEncoder
from stpn_core.swin_block import block_forward
from stpn_core.weights import convert_encoder


def released_encoder(config: dict[str, Any], tensors: dict[str, Tensor]) -> SwinEncoder:
    """An encoder with the weights of a reference file (released names, or timm's)."""
    encoder = create_encoder(
        "swin",
        embed_dim=config["embed_dims"],
        depths=config["depths"],
        num_heads=config["num_heads"],
        mlp_ratio=config.get("mlp_ratio", 4),
        prompt_merge="released",
    )
    assert isinstance(encoder, SwinEncoder)
    given = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
    state = {
        k.removeprefix("encoder."): v
        for k, v in convert_encoder(given).items()
        if k.startswith("encoder.")
    }
    own = encoder.state_dict()
    missing = [k for k in own if k not in state and not k.startswith("norms.")]
    assert not missing
    assert set(state) <= set(own)
    encoder.load_state_dict({**own, **state})
    return encoder.eval()


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    assert actual.shape == expected.shape
    worst = (actual - expected).abs().max().item()
    assert worst <= tolerance * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize("name", ["a1_swin_d8", "a2_swin_d16"])
def test_equals_the_released_prompted_backbone(golden: Any, name: str) -> None:
    tensors, info = golden(f"vod/{name}")
    encoder = released_encoder(info["config"], tensors)
    for case in info["cases"]:
        key = case["name"]
        prompts = tensors.get(f"in.{key}.prompts")
        with torch.no_grad():
            maps = encoder(
                tensors[f"in.{key}.img"], None if prompts is None else prompts[None]
            ).maps
        for i, actual in enumerate(maps):
            close(actual, tensors[f"out.{key}.map{i}"])


def test_the_reference_notices_the_other_way_of_merging(golden: Any) -> None:
    tensors, info = golden("vod/a1_swin_d8")
    encoder = released_encoder(info["config"], tensors)
    encoder.prompt_merge = "aligned"
    with torch.no_grad():
        maps = encoder(tensors["in.p5.img"], tensors["in.p5.prompts"][None]).maps
    close(maps[0], tensors["out.p5.map0"])
    with pytest.raises(AssertionError):
        close(maps[1], tensors["out.p5.map1"])


def stage_outputs(encoder: SwinEncoder, images: Tensor) -> list[Tensor]:
    """Maps (B, C, H, W) before the output norms."""
    seen: list[Tensor] = []
    hooks = [
        norm.register_forward_pre_hook(lambda _, args: seen.append(args[0].permute(0, 3, 1, 2)))
        for norm in encoder.norms.values()
    ]
    with torch.no_grad():
        encoder(images)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize("name", ["d1_timm_d8_3stage", "d2_timm_d8"])
def test_equals_the_released_plain_backbone_with_timm_weights(golden: Any, name: str) -> None:
    tensors, info = golden(f"vod/{name}")
    encoder = released_encoder(info["config"], tensors)
    compared = 0
    for case in info["cases"]:
        stages = stage_outputs(encoder, tensors[f"in.{case['name']}.img"])
        for i, actual in enumerate(stages):
            expected = tensors.get(f"out.{case['name']}.official.stage{i}")
            if expected is not None:
                close(actual, expected)
                compared += 1
    assert compared >= 2


def test_equals_timm_outputs_where_its_padding_does_not_bite(golden: Any) -> None:
    tensors, info = golden("vod/d2_timm_d8")
    encoder = released_encoder(info["config"], tensors)
    for i, actual in enumerate(stage_outputs(encoder, tensors["in.div1stage.img"])):
        close(actual, tensors[f"out.div1stage.timm.stage{i}"])


@pytest.mark.parametrize(("size", "seed"), [((448, 672), 0), ((224, 448), 1)])
def test_plain_forward_is_timms(size: tuple[int, int], seed: int) -> None:
    torch.manual_seed(seed)
    encoder = create_encoder("swin_tiny").eval()
    assert isinstance(encoder, SwinEncoder)
    images = torch.randn(1, 3, *size)
    expected = encoder.body.forward_intermediates(images, intermediates_only=True)
    for actual, wanted in zip(stage_outputs(encoder, images), expected, strict=True):
        torch.testing.assert_close(actual, wanted, atol=1e-5, rtol=1e-5)


def test_timm_does_differ_where_its_padding_bites() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("swin", embed_dim=16, depths=(2, 2), num_heads=(2, 4)).eval()
    assert isinstance(encoder, SwinEncoder)
    images = torch.randn(1, 3, 60, 100)
    expected = encoder.body.forward_intermediates(images, intermediates_only=True)
    assert (stage_outputs(encoder, images)[0] - expected[0]).abs().max() > 1e-3


def test_state_dict_has_timms_names() -> None:
    encoder = create_encoder("swin_tiny")
    timm_keys = set(SwinTransformer(num_classes=0).state_dict())
    own = set(encoder.state_dict())
    moved = {"norm.weight", "norm.bias"}
    norms = {f"norms.{i}.{kind}" for i in range(4) for kind in ("weight", "bias")}
    assert own == {f"body.{k}" for k in timm_keys - moved} | norms


def test_window_twelve_and_named_sizes() -> None:
    encoder = create_encoder(
        "swin", embed_dim=8, depths=(2, 1), num_heads=(1, 2), window=12, out_indices=(1,)
    ).eval()
    images = torch.randn(1, 3, 96, 96)
    assert isinstance(encoder, SwinEncoder)
    (actual,) = stage_outputs(encoder, images)
    expected = encoder.body.forward_intermediates(images, intermediates_only=True)[1]
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)
    assert encoder.channels == (16,)
    assert encoder.strides == (8,)
    assert encoder.prompt_dims == (8, 8, 16)


def test_out_indices_are_checked() -> None:
    for wrong in ((), (0, 0), (2, 1), (4,)):
        with pytest.raises(InputError, match="out_indices"):
            create_encoder("swin", embed_dim=24, out_indices=wrong)


@torch.no_grad()
def test_exports_for_any_batch_size() -> None:
    encoder = create_encoder("swin", embed_dim=8, depths=(2,), num_heads=(1,)).eval()
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    program = torch.export.export(
        encoder,
        (torch.randn(2, 3, 30, 45), torch.randn(2, 3, 8)),
        dynamic_shapes=(batch, batch),
    )
    images, prompts = torch.randn(5, 3, 30, 45), torch.randn(5, 3, 8)
    exported, eager = program.module()(images, prompts), encoder(images, prompts)
    torch.testing.assert_close(exported.maps[0], eager.maps[0])


def test_prompts_and_patches_of_a_sample_drop_together() -> None:
    """Where the patches of a sample lose both branches, so do its prompts, and the other way."""
    torch.manual_seed(0)
    encoder = create_encoder("swin", embed_dim=8, depths=(1,), num_heads=(1,), drop_path=0.5)
    assert isinstance(encoder, SwinEncoder)
    block = encoder.body.layers[0].blocks[0]
    # timm gives the first block no DropPath: the rate grows from zero
    block.drop_path1, block.drop_path2 = DropPath(0.5), DropPath(0.5)
    x, prompts = torch.randn(64, 7, 7, 8), torch.randn(64, 2, 8)
    out, prompts_out = block_forward(block, x, prompts, None, True, True)
    patches_stay = (out == x).flatten(1).all(1)
    prompts_stay = (prompts_out == prompts).flatten(1).all(1)
    assert torch.equal(patches_stay, prompts_stay)
    assert 0 < patches_stay.sum() < 64
