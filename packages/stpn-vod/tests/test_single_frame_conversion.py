"""Single-frame detectors under mmdet's names, converted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stpn_core.settings import read_dataclass
from stpn_core.weights import read_checkpoint, save_weights
from stpn_vod.build_config import DetectorConfig
from stpn_vod.conversion import convert_detector
from stpn_vod.weights import load_detector

CHECKPOINT = "golden/vod/g1_checkpoint_att.pth"


@pytest.fixture
def original(shared: Path) -> dict[str, Tensor]:
    """The detector in a checkpoint of the released layout, without predictor and prefix."""
    state = read_checkpoint(shared / CHECKPOINT).state
    return {
        key.removeprefix("detector."): tensor
        for key, tensor in state.items()
        if key.startswith("detector.")
    }


def convert(state: dict[str, Tensor], path: Path) -> DetectorConfig:
    """Write the converted checkpoint to `path`; its configuration."""
    result = convert_detector(state, {})
    assert result is not None
    save_weights(path, *result)
    return read_dataclass(DetectorConfig, json.loads(result[1]["config"]), "config")


def test_it_has_settings_of_its_own(original, tmp_path):
    config = convert(original, tmp_path / "single.safetensors")
    assert config.predictor is None
    assert config.box_stds == (0.1, 0.1, 0.2, 0.2)
    assert (config.roi_samples, config.roi_low_quality, config.train_proposals) == (512, False, 600)
    assert config.pad_to == 16  # 30 classes: those of ImageNet VID
    model = load_detector(tmp_path / "single.safetensors")
    assert not model.training
    assert len(model(torch.zeros(1, 3, 64, 64), torch.tensor([[64, 64]]))) == 1


def test_other_classes_are_padded_as_mmdet_does(original, tmp_path):
    for name, rows in (("fc_cls", 81), ("fc_reg", 320)):
        original[f"roi_head.bbox_head.{name}.weight"] = torch.randn(rows, 32)
        original[f"roi_head.bbox_head.{name}.bias"] = torch.randn(rows)
    config = convert(original, tmp_path / "single.safetensors")
    assert (config.num_classes, config.pad_to) == (80, 32)


def test_detections_are_those_of_the_same_weights_without_prompts(
    golden, original, shared, tmp_path
):
    """Box deviations aside, nothing sets the two apart."""
    tensors, description = golden("vod/e1_stpn_detect")
    convert(original, tmp_path / "single.safetensors")
    single = load_detector(tmp_path / "single.safetensors")
    prompted = load_detector(shared / CHECKPOINT)
    sizes = torch.tensor([description["metas"][0]["img_shape"]])
    alone = single(tensors["in.img0"], sizes)[0]
    with torch.no_grad():
        features = prompted.stpn.encode(tensors["in.img0"], None)
    other = prompted.detect(features, sizes)[0]
    assert not torch.equal(alone.boxes, other.boxes)
    single.roi.coder = prompted.roi.coder
    same = single(tensors["in.img0"], sizes)[0]
    for name in ("boxes", "scores", "labels"):
        assert torch.equal(getattr(same, name), getattr(other, name))
