"""Corner head, precise RoI pooling and score head: the original's numbers."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import Tensor

from stpn_core.cvt_parts import FrozenBatchNorm
from stpn_core.errors import InputError
from stpn_core.weights import load_state
from stpn_vot.box_geometry import cxcywh_of_corners
from stpn_vot.build import build_tracker
from stpn_vot.build_config import TrackerConfig
from stpn_vot.conversion import our_name
from stpn_vot.corner_head import BatchNorm, CornerHead, PlainCorner, PyramidCorner, expected_place
from stpn_vot.prroi import precise_roi_pool
from stpn_vot.score_head import ScoreHead

from .networks import TINY, images


def weights(tensors: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Weights of one part, without its name: `weights.*` of a file of that part alone."""
    found = {}
    for key, value in tensors.items():
        if key.startswith("weights."):
            name = our_name(theirs + key.removeprefix("weights.").removeprefix(theirs))
            assert name is not None, key
            found[name.removeprefix(ours)] = value
    return found


@pytest.mark.parametrize("frozen", [False, True])
@torch.no_grad()
def test_corners_are_the_original_s(golden, frozen):
    tensors, facts = golden("vot/corner_head_20x20")
    head = CornerHead(PlainCorner, facts["inplanes"], facts["channel"], frozen=frozen).eval()
    report = load_state(head, weights(tensors, "box_head.", "box_head."), what="head")
    assert not report.unexpected
    assert not report.missing
    logits = head.logits(tensors["in.features"])
    for found, name in zip(logits, ("tl", "br"), strict=True):
        assert (found - tensors[f"out.score_map_{name}"]).abs().max() <= 5e-4
        assert (found.flatten(1).softmax(1) - tensors[f"out.prob_{name}"]).abs().max() <= 1e-4
    boxes = head(tensors["in.features"])
    assert (boxes - tensors["out.corner_xyxy"]).abs().max() <= 1e-5
    assert (cxcywh_of_corners(boxes)[:, None] - tensors["out.pred_boxes"]).abs().max() <= 1e-5
    unordered = (boxes[:, 2:] < boxes[:, :2]).any(1).sum()
    assert unordered == facts["unordered_boxes"]


@pytest.mark.parametrize(("height", "width"), [(20, 20), (5, 7)])
def test_a_sharp_peak_is_found_at_the_cell_s_corner(height, width):
    logits = torch.full((1, 1, height, width), -1e4)
    logits[0, 0, height - 1, width - 1] = 1e4
    x, y = expected_place(logits)[0].tolist()
    assert (x, y) == pytest.approx(((width - 1) / width, (height - 1) / height))


def test_the_pyramid_head_is_four_times_as_fine():
    head = CornerHead(PyramidCorner, 24, 48)
    assert head.logits(images(2, 24, 5, 5))[0].shape == (2, 1, 20, 20)
    assert head(images(2, 24, 5, 5)).shape == (2, 4)


def test_batch_norms_learn_in_the_first_stage_only():
    free, frozen = (
        CornerHead(PlainCorner, 16, 16, frozen=frozen).train() for frozen in (False, True)
    )
    assert free.state_dict().keys() == frozen.state_dict().keys()
    frozen.load_state_dict(free.state_dict())
    x = images(2, 16, 5, 5)
    reference = torch.nn.BatchNorm2d(16).train()
    assert torch.allclose(BatchNorm(16).train()(x), reference(x), atol=1e-6)
    before = {k: v.clone() for k, v in free.state_dict().items()}
    for head in (free, frozen):
        head(x)
    moved = {k for k, v in free.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {k for k in before if "running" in k}
    assert all(torch.equal(v, before[k]) for k, v in frozen.state_dict().items())
    assert not any(isinstance(m, BatchNorm) for m in frozen.modules())
    assert sum(isinstance(m, FrozenBatchNorm) for m in frozen.modules()) == 8


def test_pooling_is_the_exact_integral(golden):
    tensors, _ = golden("vot/prroi_20x20")
    rois, grad = tensors["in.rois"], tensors["in.grad_out_p4"]
    for dtype, kernel, exact in ((torch.float64, 2e-3, 1e-9), (torch.float32, 2e-3, 2e-3)):
        features = tensors["in.features"].to(dtype).requires_grad_()
        rows = features[rois[:, 0].long()]
        found = precise_roi_pool(rows, rois[:, 1:].to(dtype), 4)
        assert (found - tensors["out.exact64_p4"]).abs().max() <= exact
        assert (found - tensors["out.pooled_p4"]).abs().max() <= kernel
        large = (rois[:, 3:] - rois[:, 1:3]).min(1).values > 1
        assert large.sum() >= 5
        assert (found - tensors["out.pooled_p4"])[large].abs().max() <= 2e-5
        found.backward(grad.to(dtype))
        assert (features.grad - tensors["out.grad_features_p4"]).abs().max() <= 5e-5
        inverted = ((rois[:, 3:] - rois[:, 1:3]) <= 0).any(1)
        assert inverted.any()
        assert not found[inverted].any()


def test_pooling_has_the_gradient_of_its_boxes():
    features = images(3, 2, 6, 7).double().requires_grad_()
    boxes = torch.tensor([[0.3, 0.4, 4.2, 3.3], [-1.7, 2.2, 3.1, 9.4], [2.1, 2.2, 2.5, 2.4]])
    inputs = (features, boxes.double().requires_grad_())
    assert torch.autograd.gradcheck(lambda f, b: precise_roi_pool(f, b, 3), inputs)


def test_a_box_without_area_has_no_gradient_and_no_nan():
    boxes = torch.tensor([[2.0, 2.0, 2.0, 5.0], [4.0, 4.0, 1.0, 1.0]], requires_grad=True)
    features = images(2, 2, 6, 6).requires_grad_()
    precise_roi_pool(features, boxes, 4).sum().backward()
    for tensor in (boxes, features):
        assert tensor.grad is not None
        assert not tensor.grad.any()


@torch.no_grad()
def test_scores_are_the_original_s(golden):
    tensors, facts = golden("vot/spm")
    head = ScoreHead(facts["width"], facts["heads"], facts["pool_size"]).eval()
    report = load_state(head, weights(tensors, "score_branch.", "score_head."), what="SPM")
    assert not report.unexpected
    assert not report.missing
    search, boxes = tensors["in.search"], tensors["in.boxes_xyxy"]
    found = head(search, tensors["in.template"], boxes)
    assert (found - tensors["out.pred_scores"]).abs().max() <= 1e-4
    assert (found.sigmoid() - tensors["out.sigmoid"]).abs().max() <= 1e-4
    pooled = precise_roi_pool(search, boxes * 20, 4)
    assert (pooled - tensors["out.pooled"]).abs().max() <= 2e-3


def test_parameters_of_the_published_size_are_counted(shared):
    with torch.device("meta"):
        model = build_tracker(TrackerConfig(frozen_head_norms=True, predictor=None))
    assert model.score_head is not None
    parts = (model.encoder, model.box_head, model.score_head)
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [31_194_688, 4_397_570, 1_481_473]
    text = (shared / "golden/vot/mixformer_cvt21_full_keys.json").read_text()
    theirs = {k: v for k, v in json.loads(text)["keys"].items() if "backbone.norm." not in k}
    theirs = {k: v for k, v in theirs.items() if "backbone.head." not in k}
    state = model.state_dict()
    assert {our_name(key) for key in theirs} == state.keys()
    assert all(list(state[our_name(k) or ""].shape) == list(shape) for k, shape in theirs.items())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"search_size": 330}, "search_size must be a multiple of 16"),
        ({"head_channels": 12}, "multiple of 8"),
        ({"score_heads": 5}, "score_heads=5"),
        ({"predictor": "attention", "num_prompts": 5}, "no square map"),
        ({"predictor": "attention", "num_prompts": 16}, "4 or 9 prompts"),
        ({"predictor": "attention", "prompt_downscale": "predict"}, "set deep"),
        ({"predictor": "nothing"}, "unknown prompt predictor"),
        ({"encoder": "swin_tiny", "arch": {}}, "unknown encoder"),
        ({"encoder": "cvt_21", "arch": {"class_token": True}}, "no class token"),
        ({"arch": {"dims": (8, 8), "depths": (1, 1), "num_heads": (1, 1)}}, "three stages"),
    ],
)
def test_options_that_do_not_fit_are_refused(change, says):
    with pytest.raises(InputError, match=says):
        build_tracker(dataclasses.replace(TINY, **change))
