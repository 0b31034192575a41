from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_vod.detector import FasterRCNN
from stpn_vod.export.head import ExportedHead
from stpn_vod.model_file import TrainedDetector


@torch.no_grad()
def assert_same(model: FasterRCNN, image: torch.Tensor, size: tuple[int, int]) -> int:
    features = model.stpn.encoder(image)
    expected = model.detect(features, torch.tensor([size]))[0]
    boxes, scores, labels, count = ExportedHead(model)(torch.tensor(size), *features.maps)
    assert int(count) == len(expected)
    assert torch.equal(boxes[:count], expected.boxes)
    assert torch.equal(scores[:count], expected.scores)
    assert torch.equal(labels[:count], expected.labels)
    assert not boxes[count:].any()
    assert not scores[count:].any()
    return int(count)


@pytest.mark.parametrize("size", [(64, 96), (50, 70), (1, 1)])
def test_the_same_detections_to_the_bit(small: TrainedDetector, size: tuple[int, int]) -> None:
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    assert assert_same(small.model, image, size) > 0


def test_a_blank_image_with_its_ties(small: TrainedDetector) -> None:
    assert_same(small.model, torch.zeros(1, 3, 64, 96), (64, 96))


def test_an_image_larger_than_the_limits(small: TrainedDetector) -> None:
    assert assert_same(small.model, torch.randn(1, 3, 224, 320), (224, 300)) > 0


def test_nothing_found(small: TrainedDetector) -> None:
    post = small.model.roi.postprocess
    try:
        small.model.roi.postprocess = dataclasses.replace(post, score_threshold=1.0)
        assert assert_same(small.model, torch.randn(1, 3, 64, 96), (64, 96)) == 0
    finally:
        small.model.roi.postprocess = post


def test_what_is_not_finite_yields_nothing(small: TrainedDetector) -> None:
    maps = [torch.full((1, 8 * 2**i, 16 // 2**i, 24 // 2**i), torch.nan) for i in range(2)]
    with torch.no_grad():
        *_, count = ExportedHead(small.model)(torch.tensor([64, 96]), *maps)
    assert int(count) == 0
