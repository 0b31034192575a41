"""Prompted ViT and Eva encoders against timm and against the plain definition of prompting."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import timm
import torch
from torch import Tensor, nn

from stpn_core.encoder import create_encoder
from stpn_core.errors import InputError
from stpn_core.predictors import create_predictor
from stpn_core.stpn import STPN
from stpn_core.testing import EncoderConformance, StpnConformance
from stpn_core.vit import VitEncoder, create_vit, without_drop_path

# Small versions of each family; layer scale large enough for a block to matter.
SMALL: dict[str, Any] = {"embed_dim": 32, "depth": 3, "num_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"img_size": 48},
    "deit_tiny_distilled_patch16_224": {"img_size": 48},
    "vit_base_patch32_clip_quickgelu_224": {"img_size": 96},
    "vit_base_patch16_siglip_224": {"img_size": 48},
    "vit_small_patch14_reg4_dinov2": {"img_size": 42, "init_values": 0.5},
    "eva02_tiny_patch14_224": {"img_size": 42},
    "vit_small_patch16_dinov3": {"img_size": 48, "init_values": 0.5},
    "vit_small_patch16_rope_mixed_224": {"img_size": 48, "init_values": 0.5},
    "vit_pe_core_tiny_patch16_384": {"img_size": 48},
}
EVA = list(FAMILIES)[-4:]
every_family = pytest.mark.parametrize("name", FAMILIES)


def build(name: str, **options: Any) -> VitEncoder:
    torch.manual_seed(0)
    return create_vit(name, **{"pyramid_dim": None, **SMALL, **FAMILIES[name], **options}).eval()


def images_for(name: str, batch: int = 2) -> Tensor:
    size = FAMILIES[name]["img_size"]
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def prompts_for(encoder: VitEncoder, count: int = 4, batch: int = 2, seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, count, encoder.prompt_dim, generator=generator)


def tokens(features: Any) -> Tensor:
    return features.maps[-1].flatten(2).transpose(1, 2)


@every_family
def test_without_prompts_it_is_timm(name: str) -> None:
    encoder, images = build(name), images_for(name)
    model = timm.create_model(name, num_classes=0, **SMALL, **FAMILIES[name]).eval()
    missing, unexpected = model.load_state_dict(encoder.body.state_dict(), strict=False)
    assert not unexpected
    assert all(key.startswith("attn_pool.") for key in missing)
    wanted = model.forward_features(images)[:, model.num_prefix_tokens :]
    if isinstance(model.norm, nn.Identity):
        wanted = encoder.body.fc_norm(wanted)
    assert torch.equal(tokens(encoder(images)), wanted)
    assert torch.equal(encoder.embed(images).flatten(1, 2), wanted)


@every_family
@pytest.mark.parametrize("deep", [False, True])
def test_prompts_are_more_prefix_tokens(name: str, deep: bool) -> None:
    """Against timm's own blocks told of P more prefix tokens, which they do not rotate."""
    encoder, images = build(name), images_for(name)
    body = copy.deepcopy(encoder.body)
    prefix, count = body.num_prefix_tokens, 4
    sets = [prompts_for(encoder, count, seed=i) for i in range(3 if deep else 1)]
    x, rope = body._pos_embed(body.patch_embed(images)), None
    if name in EVA:
        x, rope = x
    x = body.norm_pre(x)
    for i, block in enumerate(body.blocks):
        if i == 0:
            x = torch.cat([x[:, :prefix], sets[0], x[:, prefix:]], 1)
        elif deep:
            x = torch.cat([x[:, :prefix], sets[i], x[:, prefix + count :]], 1)
        if name in EVA:
            block.attn.num_prefix_tokens = prefix + count
            x = block(x, rope=rope[i] if "mixed" in name else rope)
        else:
            x = block(x)
    norm = body.fc_norm if isinstance(body.norm, nn.Identity) else body.norm
    features = encoder(images, sets if deep else sets[0])
    assert torch.equal(tokens(features), norm(x[:, prefix + count :]))
    assert not torch.allclose(tokens(features), tokens(encoder(images)), atol=1e-4)


@pytest.mark.parametrize("name", EVA)
def test_prompts_have_no_place(name: str) -> None:
    """Rows of the rotary table that are not the identity would make their order matter."""
    encoder, images = build(name).double(), images_for(name).double()
    prompts = prompts_for(encoder).double()
    forward, backward = encoder(images, prompts), encoder(images, prompts.flip(1))
    torch.testing.assert_close(forward.maps[0], backward.maps[0], atol=1e-12, rtol=0)


@every_family
def test_zero_prompts_change_nothing(name: str) -> None:
    encoder, images = build(name), images_for(name)
    none, empty = encoder(images), encoder(images, prompts_for(encoder, 0))
    assert torch.equal(none.maps[0], empty.maps[0])


@every_family
@pytest.mark.parametrize("size", [(1, 1), (50, 91)])
def test_any_size_is_padded_at_the_right_and_bottom(name: str, size: tuple[int, int]) -> None:
    encoder = build(name)
    (patch,) = encoder.strides
    height, width = (-(-s // patch) for s in size)
    images = torch.randn(1, 3, *size)
    padded = torch.zeros(1, 3, height * patch, width * patch)
    padded[:, :, : size[0], : size[1]] = images
    features = encoder(images, prompts_for(encoder, batch=1))
    assert features.maps[0].shape == (1, 32, height, width)
    assert torch.equal(features.maps[0], encoder(padded, prompts_for(encoder, batch=1)).maps[0])


@every_family
def test_pyramid_and_a_gradient_for_every_parameter(name: str) -> None:
    """Data-parallel training stalls on parameters that no loss reaches."""
    encoder = build(name, pyramid_dim=6, drop_path=0.1).train()
    features = encoder(torch.randn(2, 3, 50, 91), prompts_for(encoder))
    assert encoder.channels == (6,) * 4
    assert encoder.strides == features.strides == (4, 8, 16, 32)
    assert [tuple(m.shape[-2:]) for m in features.maps] == [(13, 23), (7, 12), (4, 6), (2, 3)]
    sum(m.square().sum() for m in features.maps).backward()
    assert [n for n, p in encoder.named_parameters() if p.grad is None] == []


@every_family
def test_embed_never_drops_paths(name: str) -> None:
    encoder, images = build(name, drop_path=0.9), images_for(name)
    quiet = encoder.embed(images)
    encoder.train()
    assert torch.equal(encoder.embed(images), quiet)
    dropped = tokens(encoder(images))
    assert not torch.allclose(dropped, quiet.flatten(1, 2), atol=1e-3)


def test_blocks_without_drop_path_share_everything_else() -> None:
    encoder, images = build("eva02_tiny_patch14_224", drop_path=0.9), images_for(EVA[0])
    block = encoder.body.blocks[-1]
    twin = without_drop_path(block)
    assert twin is not block
    assert without_drop_path(twin) is twin
    assert [id(p) for p in twin.parameters()] == [id(p) for p in block.parameters()]
    assert isinstance(twin.drop_path1, nn.Identity)
    assert block.drop_path1.drop_prob > 0.8
    assert not any("steady" in key for key in encoder.state_dict())
    copied = copy.deepcopy(encoder).double().train()
    with torch.no_grad():
        copied.body.fc_norm.bias += 1
        copied.body.blocks[-1].mlp.fc2.bias += 1
    assert torch.equal(copied.embed(images.double()), copied.eval().embed(images.double()))
    assert encoder.embed(images).dtype == torch.float32


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "vit_small_patch16_dinov3"])
def test_checkpointing_changes_no_gradient(name: str) -> None:
    images = images_for(name)
    gradients = []
    for checkpointing in (False, True):
        encoder = build(name, checkpointing=checkpointing)
        prompts = prompts_for(encoder).requires_grad_()
        encoder(images, prompts).maps[0].square().sum().backward()
        gradients.append([prompts.grad, *(p.grad for p in encoder.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_patch_maps_after_chosen_blocks() -> None:
    name = "vit_tiny_patch16_224"
    encoder, images = build(name, out_indices=(0, -1)), images_for(name)
    assert (encoder.strides, encoder.channels) == ((16, 16), (32, 32))
    maps = encoder(images, prompts_for(encoder)).maps
    wanted = encoder.body.forward_intermediates(images, [0, 2], norm=True, intermediates_only=True)
    assert [torch.equal(a, b) for a, b in zip(encoder(images).maps, wanted, strict=True)] == [
        True
    ] * 2
    assert not torch.equal(maps[0], wanted[0])


def test_pyramid_levels_can_be_chosen() -> None:
    encoder = build("vit_tiny_patch16_224", pyramid_dim=6, out_indices=(1, 2))
    assert encoder.strides == (8, 16)
    assert [m.shape[-1] for m in encoder(images_for("vit_tiny_patch16_224")).maps] == [6, 3]


def test_create_encoder_finds_it() -> None:
    encoder = create_encoder("vit_tiny_patch16_224", pyramid_dim=4, img_size=32, **SMALL)
    assert isinstance(encoder, VitEncoder)
    assert encoder.prompt_dims == (32, 32, 32)
    assert encoder.support_dim == encoder.prompt_dim == 32


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vit_smal_patch16_dinov3", {}, "no model .* did you mean vit_small_patch16_dinov3"),
        ("resnet18", {}, "cannot build|is a ResNet"),
        ("vit_small_r26_s32_224", {"depth": 1}, "prompts go into timm's VisionTransformer"),
        ("vit_tiny_patch16_224", {"wings": 2}, "unexpected keyword argument 'wings'"),
        ("vit_tiny_patch16_224", {"patch_drop_rate": 0.5}, "need every patch"),
        ("vit_tiny_patch16_224", {"out_indices": (4,), "depth": 1}, "has 4 pyramid levels"),
        ("vit_tiny_patch16_224", {"out_indices": (), "depth": 1}, "has 4 pyramid levels"),
        (
            "vit_tiny_patch16_224",
            {"out_indices": (1,), "depth": 1, "pyramid_dim": None},
            "has 1 blocks",
        ),
    ],
)
def test_what_cannot_be_built(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_vit(name, **options)


def test_wrong_shapes_are_named() -> None:
    encoder, images = build("vit_tiny_patch16_224"), images_for("vit_tiny_patch16_224")
    with pytest.raises(InputError, match=r"images must be \(B, 3, H, W\), got \(3, 48, 48\)"):
        encoder(images[0])
    with pytest.raises(InputError, match=r"got \(2, 4, 31\)"):
        encoder(images, torch.zeros(2, 4, 31))
    with pytest.raises(InputError, match="3 blocks"):
        encoder(images, [torch.zeros(2, 4, 32)] * 2)


def test_pretrained_without_network_says_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, **kwargs: Any) -> None:
        assert kwargs["pretrained"]
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    wanted = (
        "no route to host.*huggingface.co/timm/vit_small_patch16_dinov3.lvd1689m/resolve/main/"
        "model.safetensors.*weights=PATH"
    )
    with pytest.raises(InputError, match=wanted):
        create_vit("vit_small_patch16_dinov3", pretrained=True)


@pytest.mark.parametrize("prefix", ["", "encoder.body.", "stpn.encoder.body."])
def test_weights_from_a_file(tmp_path: Path, prefix: str) -> None:
    from safetensors.torch import save_file

    name = "vit_small_patch16_dinov3"
    source = build(name)
    for parameter in source.parameters():
        nn.init.normal_(parameter, std=0.1)
    path = tmp_path / "model.safetensors"
    save_file({prefix + k: v for k, v in source.body.state_dict().items()}, path)
    torch.manual_seed(5)
    loaded = build(name, weights=path)
    images = images_for(name)
    assert torch.equal(loaded(images).maps[0], source(images).maps[0])


def test_bf16_autocast_stays_close() -> None:
    encoder, images = build("vit_small_patch16_dinov3"), images_for("vit_small_patch16_dinov3")
    prompts = prompts_for(encoder)
    exact = encoder(images, prompts).maps[0]
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(images, prompts.bfloat16()).maps[0]
    assert 0 < (rough.float() - exact).abs().max() < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@every_family
def test_a_gpu_gives_the_same(name: str) -> None:
    encoder, images = build(name), images_for(name)
    prompts = prompts_for(encoder)
    wanted = encoder(images, prompts).maps[0]
    found = encoder.cuda()(images.cuda(), prompts.cuda()).maps[0].cpu()
    torch.testing.assert_close(found, wanted, atol=1e-3, rtol=1e-3)


def test_half_precision_weights_take_float_prompts() -> None:
    encoder = build("eva02_tiny_patch14_224").bfloat16()
    images = images_for("eva02_tiny_patch14_224").bfloat16()
    features = encoder(images, prompts_for(encoder))
    assert features.maps[0].dtype == torch.bfloat16


class Conformance(EncoderConformance):
    """One model with patch maps: what the suite calls the plain backbone is timm's own forward."""

    name: ClassVar[str]

    def build(self, *, drop_path: float = 0.0, checkpointing: bool = False) -> VitEncoder:
        return create_vit(
            self.name,
            pyramid_dim=None,
            drop_path=drop_path,
            checkpointing=checkpointing,
            **{**SMALL, **FAMILIES[self.name], "depth": 2},
        )

    def plain(self, encoder: Any, images: Tensor) -> Sequence[Tensor]:
        body = encoder.body
        x = body.forward_features(images)[:, body.num_prefix_tokens :]
        if isinstance(body.norm, nn.Identity):
            x = body.fc_norm(x)
        side = self.plain_size[0] // encoder.strides[0]
        return [x.transpose(1, 2).unflatten(2, (side, side))]


class TestVit(Conformance):
    name = "vit_tiny_patch16_224"


class TestVitDeep(TestVit):
    deep = True


class TestEva02(Conformance):
    name = "eva02_tiny_patch14_224"


class TestEva02Deep(TestEva02):
    deep = True


class TestDinov3(Conformance):
    name = "vit_small_patch16_dinov3"


class TestDinov3Deep(TestDinov3):
    deep = True


class TestPyramidOfDinov2(Conformance):
    """Patches of 14 pixels behind a pyramid."""

    name = "vit_small_patch14_reg4_dinov2"

    def build(self, *, drop_path: float = 0.0, checkpointing: bool = False) -> VitEncoder:
        options = {"drop_path": drop_path, "checkpointing": checkpointing, "pyramid_dim": 8}
        return create_vit(self.name, **{**SMALL, **FAMILIES[self.name], "depth": 2}, **options)

    def plain(self, encoder: Any, images: Tensor) -> Sequence[Tensor]:
        body = encoder.body
        x = body.forward_features(images)[:, body.num_prefix_tokens :]
        side = self.plain_size[0] // 14
        patches = x.transpose(1, 2).unflatten(2, (side, side))
        return encoder.pyramid(patches, self.plain_size)


class TestStpnOnDinov3(StpnConformance):
    def build(self, *, drop_path: float = 0.0, support_grad: bool = False) -> STPN:
        name = "vit_small_patch16_dinov3"
        encoder = create_vit(name, drop_path=drop_path, **SMALL, **FAMILIES[name], pyramid_dim=8)
        predictor = create_predictor(
            "transformer", support_dim=encoder.support_dim, prompt_dims=encoder.prompt_dims
        )
        return STPN(encoder, predictor, support_grad=support_grad)
