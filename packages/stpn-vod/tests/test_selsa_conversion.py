"""Checkpoints with SELSA's aggregators, under the names of mmtracking and of the released STPN."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import Tensor

from stpn_core.cli import main
from stpn_core.errors import InputError
from stpn_core.settings import read_dataclass
from stpn_core.weights import read_checkpoint
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.conversion import convert_detector
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.weights import load_detector, load_initial, save_detector

PARTS = ("fc_embed", "ref_fc_embed", "ref_fc", "fc")


@pytest.fixture(scope="module")
def prompted(shared) -> dict[str, Tensor]:
    """A checkpoint in the layout of the released ones, with aggregators (32 channels) added."""
    state = dict(read_checkpoint(shared / "golden" / "vod" / "g1_checkpoint_att.pth").state)
    generator = torch.Generator().manual_seed(0)
    for layer in range(2):
        for part in PARTS:
            name = f"detector.roi_head.bbox_head.aggregator.{layer}.{part}"
            state[f"{name}.weight"] = torch.randn(32, 32, generator=generator)
            state[f"{name}.bias"] = torch.randn(32, generator=generator)
    return state


def _convert(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], DetectorConfig]:
    result = convert_detector(state, {})
    assert result is not None
    return result[0], read_dataclass(DetectorConfig, json.loads(result[1]["config"]), "config")


def _alone(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if not key.startswith("prompt_predictor.")}


def test_with_prompts(prompted, tmp_path):
    state, config = _convert(prompted)
    assert (config.head, config.predictor, config.prompt_merge) == (
        "selsa",
        "attention",
        "released",
    )
    for layer in range(2):
        for part in PARTS:
            theirs = prompted[f"detector.roi_head.bbox_head.aggregator.{layer}.{part}.weight"]
            assert torch.equal(state[f"selsa.aggregators.{layer}.{part}.weight"], theirs)
    path = tmp_path / "selsa.pth"
    torch.save({"state_dict": prompted, "meta": {}}, path)
    model = load_detector(path)
    assert isinstance(model, SelsaDetector)
    images = torch.randn(1, 3, 64, 64)
    found = model(images, torch.tensor([[64, 64]]), torch.randn(1, 2, 3, 64, 64))[0]
    assert found.boxes.isfinite().all()


def test_alone_with_the_settings_of_mmtracking(prompted):
    state, config = _convert(_alone(prompted))
    assert (config.head, config.predictor) == ("selsa", None)
    assert config.box_stds == (0.2, 0.2, 0.2, 0.2)
    assert (config.roi_samples, config.roi_low_quality) == (256, True)
    assert (config.train_proposals, config.test_proposals, config.pad_to) == (600, 300, 16)
    assert set(state) == set(build_detector(config).state_dict())


def test_a_missing_part_is_named(prompted, tmp_path):
    broken = {key: value for key, value in prompted.items() if "1.ref_fc.bias" not in key}
    torch.save({"state_dict": broken, "meta": {}}, tmp_path / "broken.pth")
    with pytest.raises(InputError, match=r"selsa\.aggregators\.1\.ref_fc\.bias"):
        load_detector(tmp_path / "broken.pth")


def test_resnet_is_refused_clearly(prompted, tmp_path, capsys):
    """The names of mmtracking's own checkpoints: ResNet, one 3x3 convolution as neck."""
    state = {
        key: value for key, value in _alone(prompted).items() if not key.startswith("detector.back")
    } | {
        "detector.backbone.conv1.weight": torch.zeros(64, 3, 7, 7),
        "detector.backbone.layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1),
        "detector.neck.convs.0.conv.weight": torch.zeros(512, 2048, 3, 3),
    }
    torch.save({"state_dict": state, "meta": {}}, tmp_path / "mmtracking.pth")
    with pytest.raises(InputError, match=r"SELSA on a ResNet .*vid_swin_t_selsa"):
        load_detector(tmp_path / "mmtracking.pth")
    assert main(["convert", str(tmp_path / "mmtracking.pth"), str(tmp_path / "a.safetensors")]) == 2
    assert "SELSA on a ResNet" in capsys.readouterr().err
    assert not (tmp_path / "a.safetensors").exists()
    plain = {key: value for key, value in state.items() if ".aggregator." not in key}
    assert convert_detector(plain, {}) is None, "other detectors are left to others"


TINY = DetectorConfig(
    encoder="swin",
    arch={"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2)},
    predictor=None,
    head="selsa",
    num_classes=3,
    fpn_channels=8,
    fc_channels=16,
)


def test_own_file_comes_back(tmp_path):
    model = build_detector(TINY)
    save_detector(tmp_path / "own.safetensors", model.state_dict(), TINY)
    again = load_detector(tmp_path / "own.safetensors")
    assert isinstance(again, SelsaDetector)
    state = model.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


def test_a_plain_detector_is_a_starting_point(tmp_path):
    plain_config = dataclasses.replace(TINY, head="faster_rcnn")
    plain, path = build_detector(plain_config), tmp_path / "plain.safetensors"
    save_detector(path, plain.state_dict(), plain_config)
    model = build_detector(TINY)
    fresh = model.selsa.aggregators[0].fc.weight.clone()  # type: ignore[union-attr]
    report = load_initial(model, path)
    assert all(key.startswith("selsa.") for key in report.missing)
    assert torch.equal(model.roi.fc1.weight, plain.roi.fc1.weight)
    assert torch.equal(model.selsa.aggregators[0].fc.weight, fresh)  # type: ignore[union-attr]


def test_selsa_is_a_starting_point_of_a_plain_detector(tmp_path):
    model, path = build_detector(TINY), tmp_path / "selsa.safetensors"
    save_detector(path, model.state_dict(), TINY)
    plain = build_detector(dataclasses.replace(TINY, head="faster_rcnn"))
    report = load_initial(plain, path)
    assert not report.missing
    assert all(key.startswith("selsa.") for key in report.unexpected)
