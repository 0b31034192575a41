"""Checkpoints of Mask2Former and MinVIS: every file of the same weights gives the same answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stpn_core.convert import main as convert
from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint
from stpn_vis.build import build_segmenter
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.conversion import config_of, convert_segmenter
from stpn_vis.weight_names import Depths, depths_of, weight_names
from stpn_vis.weights import load_segmenter, read_segmenter

FILES = [
    "G_ckpt_d2.pkl",
    "G_ckpt_d2.pth",
    "G_ckpt_hf4_names.safetensors",
    "G_ckpt_hf5_names.safetensors",
]


@pytest.fixture
def theirs(shared: Path) -> dict[str, Tensor]:
    return dict(read_checkpoint(shared / "golden/vis/G_ckpt_d2.pth").state)


@pytest.mark.parametrize("name", FILES)
def test_golden_answer_from_every_file(golden, shared, name):
    tensors, _ = golden("vis/G_model")
    found = load_segmenter(shared / "golden/vis" / name)(tensors["in.image"])
    assert_close(found.logits, tensors["out.logits"][-1], atol=1e-4, rtol=1e-4)
    assert_close(found.masks, tensors["out.masks_last"], atol=1e-3, rtol=2e-4)
    assert_close(found.embeddings, tensors["out.embds"], atol=1e-4, rtol=1e-4)


def test_every_file_is_the_same_model(shared):
    stored = [read_segmenter(shared / "golden/vis" / name) for name in FILES]
    for other in stored[1:]:
        assert other.config == stored[0].config
        assert other.state.keys() == stored[0].state.keys()
        for key, tensor in stored[0].state.items():
            assert torch.equal(other.state[key], tensor), key


@pytest.mark.parametrize("name", FILES)
def test_the_convert_command(shared, tmp_path, capsys, name):
    target = tmp_path / "model.safetensors"
    assert convert([str(shared / "golden/vis" / name), str(target)]) == 0
    said = capsys.readouterr().out
    assert "converted by stpn-vis" in said
    assert "criterion.empty_weight" in said, "what was left out is named"
    direct = read_segmenter(shared / "golden/vis" / name)
    stored = read_segmenter(target)
    assert stored.config == direct.config
    assert all(torch.equal(stored.state[key], direct.state[key]) for key in direct.state)


def test_the_published_sizes_are_recognised():
    def shapes(depths: Depths, width: int, heads: tuple[int, ...], window: int) -> SegmenterConfig:
        arch = {"embed_dim": width, "depths": depths.stages, "num_heads": heads}
        config = SegmenterConfig("swin", arch, window=window, predictor=None)
        with torch.device("meta"):
            state = build_segmenter(config).state_dict()
        return config_of({n.detectron2: state[n.ours] for n in weight_names(depths)})

    tiny = shapes(Depths((2, 2, 6, 2), 6, 9), 96, (3, 6, 12, 24), 7)
    assert tiny == SegmenterConfig().single_frame()
    large = shapes(Depths((2, 2, 18, 2), 6, 9), 192, (6, 12, 24, 48), 12)
    assert (large.encoder, large.window, large.arch) == ("swin_large", 12, {})


def test_names_from_before_versions(theirs):
    expected, _ = convert_segmenter(theirs, {})
    old = {
        key.replace("query_feat", "static_query").replace("head.pixel_decoder.", "head."): value
        for key, value in theirs.items()
    }
    assert old.keys() != theirs.keys()
    found, _ = convert_segmenter(old, {})
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_what_was_left_out_is_in_the_header(theirs):
    _, header = convert_segmenter(theirs, {})
    left_out = json.loads(header["left_out"])
    assert "criterion.empty_weight" in left_out
    assert all("relative_position_index" in k or "criterion" in k for k in left_out)


def test_weights_without_a_counterpart_or_missing_are_named(theirs):
    extra = theirs | {"sem_seg_head.predictor.input_proj.0.weight": torch.zeros(1)}
    with pytest.raises(InputError, match=r"without a counterpart.*input_proj\.0\.weight"):
        convert_segmenter(extra, {})
    cut = {k: v for k, v in theirs.items() if "decoder_norm.bias" not in k}
    with pytest.raises(InputError, match=r"1 weights missing in it.*decoder_norm\.bias"):
        convert_segmenter(cut, {})
    resnet = {k: v for k, v in theirs.items() if not k.startswith("backbone.")}
    with pytest.raises(InputError, match="no Swin"):
        convert_segmenter(resnet | {"backbone.stem.conv1.weight": torch.zeros(1)}, {})


def test_a_half_of_a_projection_is_missing_not_ignored(shared):
    state = dict(read_checkpoint(shared / "golden/vis/G_ckpt_hf4_names.safetensors").state)
    key = "model.transformer_module.decoder.layers.1.self_attn.k_proj.weight"
    state.pop(key)
    with pytest.raises(InputError, match="self_attn"):
        convert_segmenter(state, {})


def test_other_weights_are_left_to_others():
    assert convert_segmenter({"backbone.patch_embed.proj.weight": torch.zeros(1)}, {}) is None
    assert convert_segmenter({"layers.0.weight": torch.zeros(1)}, {}) is None


def test_names_are_a_bijection():
    names = weight_names(Depths((2, 2, 6, 2), 6, 9))
    ours = [n.ours for n in names]
    detectron2 = [n.detectron2 for n in names]
    transformers = [part for n in names for part in n.transformers]
    for keys in (ours, detectron2, transformers):
        assert len(set(keys)) == len(keys)
    with torch.device("meta"):
        state = build_segmenter(SegmenterConfig().single_frame()).state_dict()
    assert set(ours) == set(state)
    for keys, naming in (
        (ours, "ours"),
        (detectron2, "detectron2"),
        (transformers, "transformers"),
    ):
        assert depths_of(keys, naming) == Depths((2, 2, 6, 2), 6, 9)
