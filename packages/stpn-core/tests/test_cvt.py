"""Prompted CvT: the original's maps, and what every encoder must hold."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_core.cvt import CvtEncoder
from stpn_core.cvt_build import create_cvt
from stpn_core.cvt_parts import ConvProjection, fold_batch_norms
from stpn_core.cvt_prompts import downscale_by_conv
from stpn_core.encoder import PromptedEncoder, create_encoder
from stpn_core.errors import InputError
from stpn_core.testing import EncoderConformance
from stpn_core.weights import convert_checkpoint, load_state

TINY: dict[str, Any] = {"dims": (8, 12, 16), "depths": (1, 1, 2), "num_heads": (1, 2, 4)}
SIZES = {
    "cvt_tiny_nocls": {"dims": (12, 36, 60), "depths": (1, 1, 2), "num_heads": (1, 3, 5)},
    "cvt_tiny_cls": {"dims": (12, 24, 48), "depths": (1, 1, 2), "num_heads": (1, 2, 4)},
    "cvt_hf_names_tiny": {"dims": (8, 16, 32), "depths": (1, 2, 3), "num_heads": (1, 2, 4)},
}


def loaded(tensors: dict[str, Tensor], name: str) -> CvtEncoder:
    weights = {
        k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")
    }
    found = convert_checkpoint(weights)
    assert not found.unknown
    encoder = create_encoder("cvt", **SIZES[name], class_token=name != "cvt_tiny_nocls").eval()
    state = {key.removeprefix("encoder."): value for key, value in found.state.items()}
    report = load_state(encoder, state, what="CvT", min_matched=1.0)
    assert not report.unexpected
    assert not report.missing
    return encoder


@pytest.mark.parametrize("name", ["cvt_tiny_nocls", "cvt_tiny_cls"])
@pytest.mark.parametrize("kind", ["even", "odd"])
@torch.no_grad()
def test_maps_are_the_original_s(golden, name, kind):
    tensors, facts = golden(f"vot/{name}")
    close = facts["tolerance"]["fp32_abs"]
    maps = loaded(tensors, name)(tensors[f"in.{kind}"]).maps
    for stage, found in enumerate(maps):
        assert (found - tensors[f"out.{kind}.stage{stage}"]).abs().max() <= close
    if name == "cvt_tiny_nocls":  # its head stands on the mean of normed tokens
        tokens = maps[-1].flatten(2).transpose(1, 2)
        norm = (tensors["weights.norm.weight"], tensors["weights.norm.bias"])
        features = F.layer_norm(tokens, tokens.shape[-1:], *norm).mean(1)
        assert (features - tensors[f"out.{kind}.features"]).abs().max() <= close


@torch.no_grad()
def test_weights_under_transformers_names_give_the_original_s_maps(golden):
    tensors, _ = golden("vot/cvt_hf_names_tiny")
    maps = loaded(tensors, "cvt_hf_names_tiny")(tensors["in.x"]).maps
    for stage, found in enumerate(maps):
        assert (found - tensors[f"out.stage{stage}"]).abs().max() <= 2e-4


def test_every_name_of_microsoft_s_has_one_of_transformers(golden, shared):
    import json

    pairs = json.loads((shared / "golden" / "vot" / "cvt_hf_key_map.json").read_text())
    pairs = pairs.get("map", pairs)
    ours = {}
    for theirs in (dict.fromkeys(pairs), dict.fromkeys(value[0] for value in pairs.values())):
        state = {key: torch.zeros(1, 1, 1, 1) for key in theirs if isinstance(key, str)}
        found = convert_checkpoint(state)
        assert not found.unknown
        ours[found.layout] = {v for v in found.renamed.values() if v}
    assert ours["microsoft-cvt"] == ours["transformers-cvt"]
    assert len(ours["microsoft-cvt"]) > 600


def test_parameters_of_the_published_size_are_counted():
    stages = create_encoder("cvt_21")
    # without classification head and norm; batch norms hold 41,856 numbers of scale and shift
    assert sum(p.numel() for p in stages.parameters()) == 31_194_688
    assert create_encoder("cvt_13").prompt_dims == (64,) * 1 + (192,) * 2 + (384,) * 10


class CvtConformance(EncoderConformance):
    plain_size: ClassVar[tuple[int, int]] = (64, 48)
    num_prompts: ClassVar[int] = 9
    options: ClassVar[dict[str, Any]] = {}

    def build(self, *, drop_path: float = 0.0, checkpointing: bool = False) -> PromptedEncoder:
        return create_cvt(
            "cvt", drop_path=drop_path, checkpointing=checkpointing, **TINY, **self.options
        )

    def plain(self, encoder: PromptedEncoder, images: Tensor) -> Sequence[Tensor]:
        """Said again, one operation after another, without groups."""
        assert isinstance(encoder, CvtEncoder)
        found, maps = images, []
        for stage in encoder.stages:
            found = stage.patch_embed.proj(found)
            height, width = found.shape[2:]
            x = stage.patch_embed.norm(found.permute(0, 2, 3, 1)).flatten(1, 2)
            for block in stage.blocks:
                y = block.norm1(x).transpose(1, 2).unflatten(2, (height, width))
                part = block.attn
                q, k, v = (
                    linear(conv(y).flatten(2).transpose(1, 2))
                    .unflatten(2, (part.heads, -1))
                    .transpose(1, 2)
                    for conv, linear in (
                        (part.conv_proj_q, part.proj_q),
                        (part.conv_proj_k, part.proj_k),
                        (part.conv_proj_v, part.proj_v),
                    )
                )
                weights = (
                    q @ k.transpose(-1, -2) * q.shape[1] ** -0.5 * q.shape[3] ** -0.5
                ).softmax(-1)
                x = x + part.proj((weights @ v).transpose(1, 2).flatten(2))
                hidden = block.mlp.fc1(block.norm2(x))
                x = x + block.mlp.fc2(hidden * (1.702 * hidden).sigmoid())
            found = x.transpose(1, 2).unflatten(2, (height, width))
            maps.append(found)
        return maps


class TestBypassConv(CvtConformance):
    def test_map_sizes_do_not_depend_on_the_number_of_prompts(self) -> None:
        encoder = self.encoder()
        shapes = [m.shape for m in encoder(self.images()).maps]
        for count in (4, 9):
            features = encoder(self.images(), self.prompts(encoder, count=count))
            assert [m.shape for m in features.maps] == shapes
        for count in (1, 16):
            with pytest.raises(InputError, match="would become"):
                encoder(self.images(), self.prompts(encoder, count=count))


class TestDeepPerStage(CvtConformance):
    deep = True
    options: ClassVar[dict[str, Any]] = {"prompt_downscale": "predict"}


class TestMapLinear(CvtConformance):
    options: ClassVar[dict[str, Any]] = {
        "prompt_downscale": "linear",
        "prompt_attention": "map",
    }


@torch.no_grad()
def test_deep_prompts_enter_one_block_each():
    encoder = create_encoder("cvt", **TINY).eval()
    assert encoder.prompt_dims == (8, 12, 16, 16)
    images = torch.randn(1, 3, 32, 32)
    prompts = [torch.randn(1, 5, dim) for dim in encoder.prompt_dims]
    before = encoder(images, prompts).maps
    prompts[2] = prompts[2] + 1
    after = encoder(images, prompts).maps
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, True, False]


def test_nine_prompts_stay_nine_and_double_padding_would_not():
    encoder = create_encoder("cvt", **TINY)
    embed = encoder.stages[1].patch_embed
    assert downscale_by_conv(embed, torch.randn(2, 9, 8)).shape == (2, 9, 12)
    padded = F.pad(torch.randn(2, 8, 3, 3), (2, 2, 2, 2))
    assert embed(padded)[1].grid == (4, 4)
    with pytest.raises(InputError, match="no square map"):
        downscale_by_conv(embed, torch.randn(2, 5, 8))


def test_linear_downscale_starts_from_the_middle_tap():
    encoder = create_encoder("cvt", **TINY, prompt_downscale="linear")
    step, embed = encoder.linear_downscale.steps[0], encoder.stages[1].patch_embed.proj
    assert torch.equal(step.weight, embed.weight[:, :, 1, 1])


@torch.no_grad()
def test_folded_norms_give_the_same_maps():
    torch.manual_seed(0)
    encoder = create_encoder("cvt", **TINY).eval()
    for part in encoder.modules():
        if isinstance(part, ConvProjection):
            for name in ("weight", "bias", "running_mean"):
                getattr(part.bn, name).normal_()
            part.bn.running_var.uniform_(0.5, 2)
    images, prompts = torch.randn(1, 3, 40, 40), torch.randn(1, 9, 8)
    folded = copy.deepcopy(encoder)
    fold_batch_norms(folded)
    assert not any("bn." in name for name, _ in folded.named_buffers())
    for a, b in zip(encoder(images, prompts).maps, folded(images, prompts).maps, strict=True):
        assert (a - b).abs().max() < 1e-4
    fold_batch_norms(folded)  # a second time there is nothing left to fold


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": (8, 12)}, "one length"),
        ({"num_heads": (3, 2, 4)}, "do not split"),
        ({"prompt_downscale": "pool"}, "prompt_downscale"),
        ({"prompt_attention": "skip"}, "prompt_attention"),
        ({"windows": 7}, "windows"),
        ({"pretrained": True}, "no weights are fetched"),
        ({"prompt_merge": "released"}, "Swin encoders only"),
        ({"out_indices": (2, 1)}, "out_indices"),
    ],
)
def test_what_cannot_be_is_named(options, message):
    create_encoder("cvt", **TINY)
    with pytest.raises(InputError, match=message):
        create_encoder("cvt", **(TINY | options))


def test_shallow_prompts_have_no_way_where_stages_predict_their_own():
    encoder = create_encoder("cvt", **TINY, prompt_downscale="predict")
    with pytest.raises(InputError, match="one set of prompts per stage"):
        encoder(torch.randn(1, 3, 32, 32), torch.randn(1, 9, 8))
