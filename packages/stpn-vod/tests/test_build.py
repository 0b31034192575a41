"""Building from a configuration: parameter counts of the paper's models, options, errors."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from stpn_core.errors import InputError
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig

TINY = DetectorConfig(
    encoder="swin",
    arch={"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)},
    num_classes=3,
    fpn_channels=8,
    fc_channels=16,
)


def _count(config: DetectorConfig) -> int:
    with torch.device("meta"):
        model = build_detector(config)
    return sum(parameter.numel() for parameter in model.parameters())


# counted in the released implementation with 30 classes and window 7
@pytest.mark.parametrize(
    ("encoder", "single_frame", "attention"),
    [
        ("swin_tiny", 44_895_072, 111_552),
        ("swin_small", 66_212_976, 111_552),
        ("swin_base", 104_242_270, 197_888),
        ("swin_large", 212_741_178, 444_288),
    ],
)
def test_parameters_of_the_published_models(encoder, single_frame, attention):
    config = DetectorConfig(encoder=encoder, predictor=None)
    assert _count(config) == single_frame
    assert _count(dataclasses.replace(config, predictor="attention")) == single_frame + attention


def test_auxiliary_head_is_built_only_with_a_weight():
    assert _count(dataclasses.replace(TINY, prompt_aux=0.1)) == _count(TINY) + 17 * 3


def test_options_reach_their_parts():
    config = dataclasses.replace(
        TINY,
        box_stds=(0.1, 0.1, 0.2, 0.2),
        rpn_samples=7,
        roi_samples=9,
        roi_low_quality=False,
        sampling="first",
        train_proposals=11,
        test_proposals=12,
        score_threshold=0.3,
        nms_iou=0.4,
        max_detections=13,
        num_prompts=3,
        support_grad=True,
    )
    model = build_detector(config)
    assert model.roi.coder.stds == (0.1, 0.1, 0.2, 0.2)
    assert (model.rpn.sampler.number, model.rpn.sampler.order) == (7, "first")
    assert (model.roi.sampler.number, model.roi.sampler.order) == (9, "first")
    assert model.roi.matcher.low_quality is None
    assert build_detector(TINY).roi.matcher.low_quality == 0.5
    assert (model.rpn.selection.train_limit, model.rpn.selection.test_limit) == (11, 12)
    postprocess = model.roi.postprocess
    assert postprocess == type(postprocess)(0.3, 0.4, 13)
    assert model.stpn.support_grad
    assert model.stpn.predictor is not None
    assert model.stpn.predictor.num_prompts == 3


@pytest.mark.parametrize("name", ["transformer", "mixer", "average", "static"])
@pytest.mark.parametrize("deep", [False, True])
def test_every_predictor_trains(name, deep):
    model = build_detector(dataclasses.replace(TINY, predictor=name, deep=deep, prompt_aux=0.1))
    losses = model.loss(
        torch.randn(1, 3, 64, 64),
        torch.tensor([[64, 64]]),
        [torch.tensor([[4.0, 4.0, 40.0, 50.0]])],
        [torch.tensor([1])],
        torch.randn(1, 2, 3, 64, 64),
        torch.ones(1, 2, dtype=torch.bool),
        support_labels=[torch.tensor([1])],
    )
    torch.stack(list(losses.values())).sum().backward()
    assert model.stpn.predictor is not None
    gradients = [p.grad for p in model.stpn.predictor.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)


def test_config_survives_json():
    values = json.loads(json.dumps(dataclasses.asdict(TINY)))
    assert values["arch"]["depths"] == [1, 1, 1, 1]
    assert build_detector(DetectorConfig(**values)).stpn.encoder.channels == (16, 32, 64, 128)


def test_impossible_configurations_are_refused():
    with pytest.raises(InputError, match="unknown encoder"):
        build_detector(DetectorConfig(encoder="swin_gigantic"))
    with pytest.raises(InputError, match="unknown prompt predictor 'oracle'"):
        build_detector(dataclasses.replace(TINY, predictor="oracle"))
    with pytest.raises(InputError, match="at least one class, got num_classes=0"):
        build_detector(dataclasses.replace(TINY, num_classes=0))
    with pytest.raises(InputError, match="needs a prompt predictor"):
        build_detector(dataclasses.replace(TINY, predictor=None, prompt_aux=0.1))


def test_initialisation_of_the_heads():
    model = build_detector(dataclasses.replace(TINY, fpn_channels=64, fc_channels=256))
    assert abs(model.rpn.conv.weight.std().item() - 0.01) < 1e-3
    assert abs(model.roi.classify.weight.std().item() - 0.01) < 1e-3
    assert abs(model.roi.regress.weight.std().item() - 0.001) < 1e-4
    bound = (6 / (256 + 256)) ** 0.5
    assert 0.9 * bound < model.roi.fc2.weight.abs().max() <= bound
    for part in (model.rpn, model.roi):
        assert all(not p.any() for n, p in part.named_parameters() if n.endswith("bias"))
