"""Weights of other codebases under our names: exact, with every key accounted for."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stpn_core.encoder import create_encoder
from stpn_core.errors import InputError
from stpn_core.predictors import create_predictor
from stpn_core.stpn import STPN
from stpn_core.weights import (
    convert_checkpoint,
    convert_encoder,
    load_backbone,
    load_state,
    read_checkpoint,
)
from stpn_core.weights.swin_layouts import timm_order

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Any]]]
Weights = dict[str, Tensor]


def weights_of(tensors: Weights) -> Weights:
    return {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}


def encoder_of(state: Weights) -> Weights:
    return {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}


def build(config: dict[str, Any], merge: str = "released") -> Any:
    return create_encoder(
        "swin",
        embed_dim=config["embed_dims"],
        depths=config["depths"],
        num_heads=config["num_heads"],
        mlp_ratio=config.get("mlp_ratio", 4),
        window=7,
        prompt_merge=merge,  # type: ignore[arg-type]
    ).eval()


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    return bool((found - expected).abs().max() <= tolerance * max(1.0, expected.abs().max()))


def to_mmdet(timm: Weights) -> Weights:
    """timm's Swin keys under mmdet's names and column order: an inverse written from the layout's
    description, independently of the converter.
    """
    place = {(0, 0): 0, (0, 1): 1, (1, 0): 2, (1, 1): 3}  # mmdet: column 4*c + place
    blocks = ((0, 0), (1, 0), (0, 1), (1, 1))  # timm: column b*C + c
    result = {}
    for key, tensor in timm.items():
        name = key.replace("patch_embed.proj.", "patch_embed.projection.")
        name = name.replace("layers.", "stages.").replace("attn.", "attn.w_msa.")
        name = name.replace("mlp.fc1.", "ffn.layers.0.0.").replace("mlp.fc2.", "ffn.layers.1.")
        if ".downsample." in name:
            stage = int(name.split(".")[1])
            name = name.replace(f"stages.{stage}.", f"stages.{stage - 1}.")
            moved = torch.empty_like(tensor)
            channels = tensor.shape[-1] // 4
            for b, where in enumerate(blocks):
                for c in range(channels):
                    moved[..., 4 * c + place[where]] = tensor[..., b * channels + c]
            tensor = moved
        result[name] = tensor
    return result


def to_microsoft(timm: Weights) -> Weights:
    result = {}
    for key, tensor in timm.items():
        if ".downsample." in key:
            stage = int(key.split(".")[1])
            key = key.replace(f"layers.{stage}.", f"layers.{stage - 1}.")
        result[key] = tensor
    return result


@pytest.fixture(scope="module")
def timm_weights() -> Weights:
    """A small timm Swin classifier's state dict, three stages."""
    from timm.models.swin_transformer import SwinTransformer

    torch.manual_seed(0)
    sizes: dict[str, Any] = {"embed_dim": 8, "depths": (1, 2, 1), "num_heads": (1, 2, 4)}
    model = SwinTransformer(img_size=56, num_classes=3, **sizes)
    return {key: torch.randn_like(tensor) for key, tensor in model.state_dict().items()}


# --- against tensors computed by the released implementation --------------------------------------


@pytest.mark.parametrize("name", ["a1_swin_d8", "a2_swin_d16"])
def test_released_swin_computes_the_same(name: str, golden: Golden) -> None:
    tensors, about = golden(f"vod/{name}")
    encoder = build(about["config"])
    load_state(encoder, encoder_of(convert_encoder(weights_of(tensors))), what=name, min_matched=1)
    for case in about["cases"]:
        prompts = tensors.get(f"in.{case['name']}.prompts")
        with torch.no_grad():
            features = encoder(
                tensors[f"in.{case['name']}.img"], None if prompts is None else prompts[None]
            )
        for i, found in enumerate(features.maps):
            assert close(found, tensors[f"out.{case['name']}.map{i}"]), (case["name"], i)


def test_prompt_merging_of_the_released_code_is_needed(golden: Golden) -> None:
    """Control: the comparison above notices the other order of prompt copies."""
    tensors, about = golden("vod/a1_swin_d8")
    encoder = build(about["config"], merge="aligned")
    load_state(encoder, encoder_of(convert_encoder(weights_of(tensors))), what="a1")
    with torch.no_grad():
        features = encoder(tensors["in.p5.img"], tensors["in.p5.prompts"][None])
    assert close(features.maps[0], tensors["out.p5.map0"])  # before the first merging
    assert not close(features.maps[1], tensors["out.p5.map1"], 1e-2)


def test_released_checkpoint_gives_the_released_features(shared: Path, golden: Golden) -> None:
    """From the .pth file to prompts, by the sizes that the conversion itself reports."""
    checkpoint = read_checkpoint(shared / "golden/vod/g1_checkpoint_att.pth")
    conversion = convert_checkpoint(checkpoint.state)
    sizes = json.loads(conversion.metadata["encoder"])
    predictor_sizes = json.loads(conversion.metadata["predictor"])
    assert conversion.metadata["prompt_merge"] == "released"
    assert predictor_sizes == {"name": "attention", "num_prompts": 5}
    encoder = create_encoder("swin", prompt_merge="released", **sizes)
    predictor = create_predictor(
        predictor_sizes["name"],
        support_dim=encoder.support_dim,
        prompt_dims=encoder.prompt_dim,
        num_prompts=predictor_sizes["num_prompts"],
    )
    model = STPN(encoder, predictor).eval()
    report = load_state(model, conversion.state, what="STPN", min_matched=1)
    assert report.unexpected == report.missing == ()
    tensors, _ = golden("vod/e1_stpn_detect")
    with torch.no_grad():
        prompts = model.predict_prompts(model.embed_support(tensors["in.ref"][None]))
    assert isinstance(prompts, Tensor)
    assert close(prompts[0], tensors["out.prompts"], 2e-4)


def test_whole_feature_path_from_released_weights(golden: Golden) -> None:
    tensors, about = golden("vod/c1_stpn_att")
    config = about["config"]
    encoder = build(config)
    predictor = create_predictor("attention", support_dim=64, prompt_dims=16, num_prompts=5)
    model = STPN(encoder, predictor).eval()
    load_state(model, convert_encoder(weights_of(tensors)), what="STPN", min_matched=1)
    with torch.no_grad():
        features = model(tensors["in.img"], tensors["in.support"][None])
    for i, found in enumerate(features.maps):
        assert close(found, tensors[f"out.map{i}"], 2e-4), i


def test_average_predictor_is_found(golden: Golden) -> None:
    tensors, _ = golden("vod/c2_stpn_avg_grad")
    conversion = convert_checkpoint(weights_of(tensors))
    assert json.loads(conversion.metadata["predictor"]) == {"name": "average"}
    assert {k for k in conversion.state if k.startswith("predictor.")} == {
        "predictor.reduction.weight",
        "predictor.reduction.bias",
    }


def test_coco_initialisation_computes_the_same(shared: Path, golden: Golden) -> None:
    tensors, about = golden("vod/g4_init_coco_layout")
    encoder = build(about["config"])
    report = load_backbone(encoder, shared / "golden/vod/g4_init_coco_layout.pth")
    assert report.missing == report.unexpected == ()
    for case, prompts in (("plain", None), ("p5", tensors["in.prompts"][None])):
        with torch.no_grad():
            features = encoder(tensors["in.img"], prompts)
        for i, found in enumerate(features.maps):
            assert close(found, tensors[f"out.{case}.map{i}"]), (case, i)


def test_coco_initialisation_equals_the_released_conversion(shared: Path, golden: Golden) -> None:
    """The released code's own converter, brought to our names, gives the same numbers."""
    tensors, _ = golden("vod/g4_init_coco_layout")
    theirs = {k.removeprefix("out.state."): v for k, v in tensors.items() if ".state." in k}
    ours = convert_encoder(read_checkpoint(shared / "golden/vod/g4_init_coco_layout.pth").state)
    renamed = from_mmdet_names(theirs)
    assert len(renamed) == len(theirs) == 13
    for key, tensor in renamed.items():
        assert torch.equal(ours[key], tensor), key


def from_mmdet_names(theirs: Weights) -> Weights:
    stem = {"patch_embed.projection.weight": torch.zeros(8, 3, 4, 4)}
    fc = {"stages.0.blocks.0.ffn.layers.0.0.weight": torch.zeros(16, 8)}
    converted = convert_encoder({**stem, **fc, **theirs})
    return {k: v for k, v in converted.items() if "patch_embed" not in k and "mlp" not in k}


@pytest.mark.parametrize("name", ["d1_timm_d8_3stage", "d2_timm_d8"])
def test_timm_weights_agree_with_the_released_converter(name: str, golden: Golden) -> None:
    """Checksums of what the released converter makes of timm's weights, from our inverse."""
    tensors, about = golden(f"vod/{name}")
    timm = weights_of(tensors)
    mmdet = to_mmdet({k: v for k, v in timm.items() if not k.startswith("norm.")})
    for key, (total, mixed) in about["converted_official_checksums"].items():
        flat = mmdet[key].double().flatten()
        weights = torch.arange(len(flat), dtype=torch.float64).cos()
        assert math.isclose(float(flat.sum()), total, abs_tol=1e-6), key
        assert math.isclose(float((flat * weights).sum()), mixed, abs_tol=1e-6), key
    there, back = convert_encoder(timm), convert_encoder(mmdet)
    for key, tensor in back.items():
        assert torch.equal(there[key], tensor), key


@pytest.mark.parametrize("name", ["d1_timm_d8_3stage", "d2_timm_d8"])
def test_timm_weights_compute_the_same(name: str, golden: Golden) -> None:
    tensors, about = golden(f"vod/{name}")
    encoder = build({**about["config"]}, merge="aligned")
    state = encoder_of(convert_encoder(weights_of(tensors)))
    report = load_state(encoder, state, what=name, optional=("norms.",))
    last = len(about["config"]["depths"]) - 1
    assert {key.split(".")[1] for key in report.missing} == {str(i) for i in range(last)}
    case = about["cases"][0]
    encoder.norms.update({str(i): torch.nn.Identity() for i in range(last + 1)})
    with torch.no_grad():
        features = encoder(tensors[f"in.{case['name']}.img"])
    compared = 0
    for i, found in enumerate(features.maps):
        expected = tensors.get(f"out.{case['name']}.official.stage{i}")
        if expected is not None:
            compared += 1
            assert close(found, expected), i
    assert compared >= 2


# --- layouts, without reference data --------------------------------------------------------------


def test_all_layouts_give_the_same_weights(timm_weights: Weights) -> None:
    body = {k: v for k, v in timm_weights.items() if not k.startswith("head.")}
    expected = convert_checkpoint(timm_weights)
    assert expected.layout == "timm"
    assert set(expected.ignored) == {"head.fc.weight", "head.fc.bias"}
    cases = {
        "microsoft": to_microsoft(timm_weights),
        "mmdet": to_mmdet(body),
    }
    for layout, state in cases.items():
        for prefix in ("", "backbone.", "backbone.bottom_up."):
            found = convert_checkpoint({prefix + k: v for k, v in state.items()})
            assert found.layout == layout
            assert found.state.keys() == expected.state.keys()
            assert all(torch.equal(found.state[k], v) for k, v in expected.state.items())
    # control: the layouts do differ in their numbers
    key = "stages.0.downsample.reduction.weight"
    assert not torch.equal(
        cases["mmdet"][key], expected.state["encoder.body.layers.1.downsample.reduction.weight"]
    )


def test_column_order_of_patch_merging() -> None:
    """Column 4c+k of mmdet is neighbour k (row-major) of channel c; timm counts down columns."""
    channels = 3
    mmdet = torch.tensor(
        [100 * c + 10 * dy + dx for c in range(3) for dy in (0, 1) for dx in (0, 1)]
    )
    timm = timm_order("body.layers.1.downsample.norm.weight", mmdet, "mmdet")
    expected = [100 * c + 10 * dy + dx for dx in (0, 1) for dy in (0, 1) for c in range(channels)]
    assert timm.tolist() == expected
    for layout in ("timm", "microsoft"):
        same = timm_order("body.layers.1.downsample.norm.weight", mmdet, layout)  # type: ignore[arg-type]
        assert same is mmdet


def test_every_key_is_accounted_for(timm_weights: Weights) -> None:
    state = {f"backbone.{k}": v for k, v in to_microsoft(timm_weights).items()}
    index = torch.zeros(49, 49, dtype=torch.int64)
    state["backbone.layers.0.blocks.0.attn.relative_position_index"] = index
    state["backbone.layers.1.blocks.1.attn_mask"] = torch.zeros(4, 49, 49)
    state["backbone.norm0.weight"] = torch.ones(8)
    state["neck.lateral_convs.0.conv.weight"] = torch.ones(1)
    state["roi_head.bbox_head.fc_cls.weight"] = torch.ones(1)
    state["surprise.weight"] = torch.ones(1)
    found = convert_checkpoint(state)
    told = {*found.renamed, *found.ignored, *found.unknown}
    assert told == set(state)
    assert len(told) == len(found.renamed) + len(found.ignored) + len(found.unknown)
    assert found.unknown == ("surprise.weight",)
    assert found.renamed["backbone.layers.0.blocks.0.attn.relative_position_index"] == ""
    assert found.renamed["backbone.layers.1.blocks.1.attn_mask"] == ""
    assert found.renamed["backbone.norm0.weight"] == "encoder.norms.0.weight"
    assert found.renamed["backbone.norm.weight"] == "encoder.norms.2.weight"
    assert found.ignored["backbone.head.fc.weight"] == "classification head"
    assert found.ignored["neck.lateral_convs.0.conv.weight"] == "task head"
    assert set(found.state) == {target for target in found.renamed.values() if target}


def test_sizes_are_read_from_the_weights(timm_weights: Weights) -> None:
    metadata = convert_checkpoint(timm_weights).metadata
    assert json.loads(metadata["encoder"]) == {
        "embed_dim": 8,
        "depths": [1, 2, 1],
        "num_heads": [1, 2, 4],
        "mlp_ratio": 4.0,
        "window": 7,
    }
    assert "prompt_merge" not in metadata


def test_what_would_not_compute_the_same_is_refused(timm_weights: Weights) -> None:
    with pytest.raises(InputError, match="'absolute_pos_embed' has no counterpart"):
        convert_encoder({**timm_weights, "absolute_pos_embed": torch.ones(1)})
    v2 = {
        key.replace("relative_position_bias_table", "logit_scale"): value
        for key, value in timm_weights.items()
    }
    with pytest.raises(InputError, match="neither a Swin nor a timm ViT"):
        convert_encoder(v2)
    with pytest.raises(InputError, match=r"no backbone .* its keys: conv1"):
        convert_encoder({"conv1.weight": torch.ones(1)})
    two = {**timm_weights, **{f"teacher.{k}": v for k, v in timm_weights.items()}}
    with pytest.raises(InputError, match=r"more than one backbone: '', 'teacher.'"):
        convert_encoder(two)
    with pytest.raises(InputError, match=r"asked to read as 'mmdet', but .* 'timm'"):
        convert_encoder(timm_weights, "mmdet")


def test_our_own_weights_pass_with_their_task_heads_left_out(timm_weights: Weights) -> None:
    ours = convert_encoder(timm_weights)
    whole = {f"stpn.{k}": v for k, v in ours.items()}
    whole |= {"stpn.predictor.query": torch.ones(5, 8), "rpn.conv.weight": torch.ones(1)}
    found = convert_checkpoint(whole)
    assert found.layout == "stpn"
    assert found.state.keys() == {*ours, "predictor.query"}
    assert found.ignored == {"rpn.conv.weight": "task head"}
    assert convert_encoder(ours).keys() == ours.keys()


def test_timm_vit_keeps_its_names() -> None:
    vit = {
        "cls_token": torch.zeros(1, 1, 8),
        "patch_embed.proj.weight": torch.zeros(8, 3, 4, 4),
        "blocks.0.attn.qkv.weight": torch.zeros(24, 8),
        "head.weight": torch.zeros(2, 8),
    }
    found = convert_checkpoint(vit)
    assert set(found.state) == {f"encoder.body.{key}" for key in vit if key != "head.weight"}
    assert found.ignored == {"head.weight": "classification head"}
    with pytest.raises(InputError, match="those of a ViT"):
        convert_checkpoint(vit, "microsoft")
