"""From scores to detections."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from stpn_vod.boxes import BoxCoder
from stpn_vod.detections import Detections
from stpn_vod.postprocess import Postprocess


@pytest.mark.parametrize("number", range(3))
def test_equals_the_released_implementation(golden, number):
    tensors, description = golden("vod/e24_detection_postprocess")
    case = description["config"]["cases"][number]
    name, size = case["name"], case["img_shape"]
    scale = tuple(case["scale_factor"][:2])
    detections = Postprocess(case["score_thr"], case["iou"], case["max"])(
        BoxCoder((0.2, 0.2, 0.2, 0.2)),
        tensors[f"in.{name}.rois"][:, 1:],
        tensors[f"in.{name}.cls_score"],
        tensors[f"in.{name}.bbox_pred"].unflatten(1, (30, 4)),
        torch.tensor(size),
    ).rescale(scale, (round(size[0] / scale[1]), round(size[1] / scale[0])))
    expected = tensors[f"out.{name}.boxes_scores"]
    assert torch.equal(detections.labels, tensors[f"out.{name}.labels"].long())
    assert_close(detections.boxes, expected[:, :4], atol=0.01, rtol=0)
    assert_close(detections.scores, expected[:, 4], atol=1e-5, rtol=0)


def _one_region(logits: list[float], threshold: float) -> Detections:
    regions = torch.tensor([[0.0, 0.0, 8.0, 8.0]])
    deltas = torch.zeros(1, len(logits) - 1, 4)
    size = torch.tensor([20, 20])
    return Postprocess(threshold)(BoxCoder(), regions, torch.tensor([logits]), deltas, size)


def test_threshold_is_strict_and_background_is_last():
    # a score of exactly one half
    assert len(_one_region([0.0, 0.0], threshold=0.5)) == 0
    assert len(_one_region([0.0, 0.0], threshold=0.4999)) == 1
    assert _one_region([0.0, 3.0, 9.0], threshold=1e-4).labels.tolist() == [1, 0]


def test_suppression_is_per_class():
    regions = torch.tensor([[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 9.0]])
    logits = torch.tensor([[5.0, 0.0, 0.0], [4.0, 0.0, 0.0]])
    deltas, size = torch.zeros(2, 2, 4), torch.tensor([9, 9])
    keep = Postprocess(0.05)(BoxCoder(), regions, logits, deltas, size)
    assert keep.labels.tolist() == [0]
    logits[1] = torch.tensor([0.0, 4.0, 0.0])
    keep = Postprocess(0.05)(BoxCoder(), regions, logits, deltas, size)
    assert sorted(keep.labels.tolist()) == [0, 1]


def test_non_finite_scores_and_boxes_yield_nothing():
    regions = torch.tensor([[0.0, 0.0, 8.0, 8.0]] * 3)
    logits = torch.tensor([[torch.nan, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
    deltas = torch.zeros(3, 2, 4)
    deltas[1, 0] = torch.nan
    found = Postprocess(0.5)(BoxCoder(), regions, logits, deltas, torch.tensor([20, 20]))
    assert found.labels.tolist() == [1]


def test_no_regions():
    found = Postprocess()(
        BoxCoder(), torch.zeros(0, 4), torch.zeros(0, 31), torch.zeros(0, 30, 4), torch.ones(2)
    )
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)


def test_rescale_divides_and_stays_inside():
    found = Detections(
        torch.tensor([[10.0, 20.0, 101.0, 70.0]]), torch.tensor([0.9]), torch.tensor([2])
    )
    assert found.rescale((0.5, 2.0), (30, 200)).boxes.tolist() == [[20.0, 10.0, 200.0, 30.0]]
    assert len(found.above(0.9)) == 0
    assert len(found.above(0.89).to("cpu")) == 1
