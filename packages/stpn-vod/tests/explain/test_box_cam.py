from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stpn_core import Features
from stpn_data.open_any import open_source
from stpn_data.sequence import EvalVideo
from stpn_data.support import WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_vod.explain.box_cam import box_cam
from stpn_vod.explain.view import Arm, View, detections, look
from stpn_vod.model_file import TrainedDetector
from stpn_vod.roi_align import pool_regions
from stpn_vod.video_inference import SupportCache, detect_sequence

POLICY = WindowPolicy(2, 2)


@pytest.fixture(scope="module")
def clip(shapes: Path) -> EvalVideo:
    return EvalVideo(open_source(str(shapes), "val"), 0, EvalResize(64, 64))


def view_of(detector: TrainedDetector, clip: EvalVideo, t: int = 3, prompted: bool = True) -> View:
    return look(Arm("one", detector, prompted), SupportCache(detector.model, clip), POLICY, t)


def test_a_view_is_what_evaluation_sees(detector: TrainedDetector, clip: EvalVideo) -> None:
    found_by_t = {f.t: found for f, found in detect_sequence(detector.model, clip, POLICY)}
    view = view_of(detector, clip)
    assert view.support == (0, 2, 4, 6)
    assert view.tokens is not None
    assert view.tokens.shape[:2] == (1, 4)
    found = detections(view).rescale(view.frame.scale, view.frame.original_size)
    assert torch.allclose(found.boxes, found_by_t[3].boxes, atol=1e-3)
    off = view_of(detector, clip, prompted=False)
    assert off.prompts is None
    assert off.support == ()
    assert not torch.equal(off.pyramid.maps[0], view.pyramid.maps[0])


def test_heat_lies_in_the_box_and_the_numbers_are_the_head_s(
    detector: TrainedDetector, clip: EvalVideo
) -> None:
    view, box = view_of(detector, clip), torch.tensor([20.0, 12, 44, 40])
    cam = box_cam(view, box, 1)
    assert cam.stride == 4
    assert cam.heat.shape == (16, 16)
    assert float(cam.heat.max()) == 1
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[2:11, 4:12] = False  # the cells of the box, and one more that interpolation reaches
    assert float(cam.heat[outside].max()) == 0
    with torch.no_grad():
        logits, _ = detector.model.roi(pool_regions(view.pyramid, [box[None]]))
    assert cam.score == pytest.approx(float(logits.softmax(1)[0, 1]), abs=1e-6)
    assert 0 < cam.iou <= 1


def test_heat_depends_on_the_class_and_no_weight_keeps_a_gradient(
    detector: TrainedDetector, clip: EvalVideo
) -> None:
    view, box = view_of(detector, clip), torch.tensor([20.0, 12, 44, 40])
    assert not torch.allclose(box_cam(view, box, 0).heat, box_cam(view, box, 1).heat)
    assert all(weight.grad is None for weight in detector.model.parameters())


def test_without_activation_there_is_no_heat(detector: TrainedDetector, clip: EvalVideo) -> None:
    view = view_of(detector, clip)
    empty = Features(tuple(torch.zeros_like(m) for m in view.pyramid.maps), view.pyramid.strides)
    cam = box_cam(dataclasses.replace(view, pyramid=empty), torch.tensor([20.0, 12, 44, 40]), 1)
    assert float(cam.heat.max()) == 0
