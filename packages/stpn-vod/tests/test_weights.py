"""Detector files of our own, and what a training run may start from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stpn_core.errors import InputError
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.weights import load_detector, load_initial, read_detector, save_detector

TINY = DetectorConfig(
    encoder="swin",
    arch={"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4), "mlp_ratio": 2.0},
    num_classes=3,
    fpn_channels=8,
    fc_channels=16,
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.safetensors"


def test_round_trip(path):
    config = dataclasses.replace(TINY, prompt_aux=0.2, predictor="transformer", deep=True)
    model = build_detector(config)
    save_detector(path, model.state_dict(), config, ("cat", "dog", "ox"))
    stored = read_detector(path)
    assert stored.config == config
    assert stored.classes == ("cat", "dog", "ox")
    again = load_detector(path)
    assert not again.training
    assert all(torch.equal(a, model.state_dict()[k]) for k, a in again.state_dict().items())


def test_files_that_do_not_fit_are_refused(path):
    state = build_detector(TINY).state_dict()
    save_detector(path, state, dataclasses.replace(TINY, num_classes=4))
    with pytest.raises(InputError, match=r"roi\.classify\.weight: file \(4, 16\), model \(5, 16\)"):
        load_detector(path)
    save_detector(path, state | {"extra": torch.zeros(1)}, TINY)
    with pytest.raises(InputError, match="does not belong to its own configuration"):
        load_detector(path)
    save_detector(path, {k: v for k, v in state.items() if k != "rpn.conv.bias"}, TINY)
    with pytest.raises(InputError, match=r"rpn\.conv\.bias: file has none"):
        load_detector(path)
    save_file({"backbone.layer1.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="no detector"):
        load_detector(path)
    with pytest.raises(InputError, match="2 class names for weights of 3 classes"):
        save_detector(path, state, TINY, ("cat", "dog"))


def test_weights_of_another_task_are_refused(path):
    header = {"format": "stpn", "format_version": "1", "task": "vis", "config": "{}"}
    save_file({"x": torch.zeros(1)}, path, header)
    with pytest.raises(InputError, match="for the task 'vis', not for 'vod'"):
        load_detector(path)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "header is damaged"),
        ('{"encodr": "swin"}', "encodr"),
        ('{"num_classes": "three"}', "num_classes"),
    ],
)
def test_damaged_headers_are_refused(path, config, reason):
    header = {"format": "stpn", "format_version": "1", "task": "vod", "config": config}
    save_file({"x": torch.zeros(1)}, path, header)
    with pytest.raises(InputError, match=reason):
        load_detector(path)


def test_starting_from_a_detector_with_other_classes(path):
    source = build_detector(TINY)
    save_detector(path, source.state_dict(), TINY)
    model = build_detector(dataclasses.replace(TINY, num_classes=5, prompt_aux=0.1))
    before = model.roi.classify.weight.clone()
    report = load_initial(model, path)
    assert torch.equal(model.roi.fc2.weight, source.roi.fc2.weight)
    assert torch.equal(model.roi.classify.weight, before)
    assert set(report.missing) == {
        f"{layer}.{leaf}"
        for layer in ("roi.classify", "roi.regress", "presence.linear")
        for leaf in ("weight", "bias")
    }


def test_starting_from_the_single_frame_twin(path):
    twin = dataclasses.replace(TINY, predictor=None)
    source = build_detector(twin)
    save_detector(path, source.state_dict(), twin)
    model = build_detector(TINY)
    report = load_initial(model, path)
    assert torch.equal(model.rpn.conv.weight, source.rpn.conv.weight)
    assert report.missing
    assert all(key.startswith("stpn.predictor.") for key in report.missing)


def test_starting_from_a_detector_of_another_shape_is_refused(path):
    save_detector(path, build_detector(TINY).state_dict(), TINY)
    with pytest.raises(InputError, match=r"fpn\.lateral\.0\.weight: file .*, model "):
        load_initial(build_detector(dataclasses.replace(TINY, fpn_channels=16)), path)
    with pytest.raises(
        InputError, match=r"stpn\.predictor\.query: file \(5, 16\), model \(7, 16\)"
    ):
        load_initial(build_detector(dataclasses.replace(TINY, num_prompts=7)), path)


def test_prompts_of_the_other_merge_are_refused(path):
    released = dataclasses.replace(TINY, prompt_merge="released")
    save_detector(path, build_detector(released).state_dict(), released)
    with pytest.raises(InputError, match=r"set --model\.prompt-merge released"):
        load_initial(build_detector(TINY), path)
    load_initial(build_detector(released), path)
    load_initial(build_detector(dataclasses.replace(TINY, predictor=None)), path)


def test_starting_from_an_encoder_alone(golden, shared):
    sizes = golden("vod/g4_init_coco_layout")[1]["config"]
    arch = {
        "embed_dim": sizes["embed_dims"],
        "depths": tuple(sizes["depths"]),
        "num_heads": tuple(sizes["num_heads"]),
        "mlp_ratio": sizes["mlp_ratio"],
    }
    model = build_detector(dataclasses.replace(TINY, arch=arch, predictor=None))
    before = model.stpn.encoder.body.patch_embed.proj.weight.clone()
    head = model.fpn.output[0].weight.clone()
    load_initial(model, shared / "golden" / "vod" / "g4_init_coco_layout.pth")
    assert not torch.equal(model.stpn.encoder.body.patch_embed.proj.weight, before)
    assert torch.equal(model.fpn.output[0].weight, head)


def test_a_missing_starting_point_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pth"):
        load_initial(build_detector(TINY), tmp_path / "nowhere.pth")
