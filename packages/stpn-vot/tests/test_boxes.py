"""Losses and geometry of boxes: the original's numbers."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional as F

from stpn_core.errors import InputError
from stpn_data.tracking.jitter import box_in_crop
from stpn_vot.box_geometry import corners_of_cxcywh, corners_of_xywh, cxcywh_of_corners
from stpn_vot.box_in_frame import clip_box, map_back
from stpn_vot.box_losses import box_losses, ciou_loss, giou_loss


@pytest.mark.parametrize("kind", ["giou", "ciou"])
def test_losses_and_gradients_are_the_original_s(golden, kind):
    tensors, facts = golden("vot/losses")
    predicted = tensors["in.pred_cxcywh"].requires_grad_()
    boxes = corners_of_cxcywh(predicted)
    truth = corners_of_xywh(tensors["in.gt_xywh"])
    assert torch.allclose(truth.clamp(0, 1), tensors["out.gt_xyxy_clamped"], atol=1e-6)
    each = {"giou": giou_loss, "ciou": ciou_loss}[kind](boxes, truth.clamp(0, 1))
    assert (each - tensors[f"out.{kind}_loss_each"]).abs().max() <= 1e-5
    found = box_losses(boxes, truth, kind)
    assert abs(float(found.l1.detach()) - facts["status"][kind]["Loss/l1"]) <= 1e-5
    total = 2 * found.overlap + 5 * found.l1
    assert (total - tensors[f"out.{kind}_total"]).abs() <= 1e-5
    total.backward()
    assert (predicted.grad - tensors[f"out.{kind}_grad_pred"]).abs().max() <= 1e-4
    assert found.unordered == 0


def test_the_score_loss_is_cross_entropy(golden):
    tensors, _ = golden("vot/losses")
    found = F.binary_cross_entropy_with_logits(tensors["in.score_logits"], tensors["in.labels"])
    assert (found - tensors["out.score_loss"]).abs() <= 1e-5


@pytest.mark.parametrize("kind", ["giou", "ciou"])
def test_an_unordered_box_does_not_touch_the_others(kind):
    loss = {"giou": giou_loss, "ciou": ciou_loss}[kind]
    truth = torch.tensor([[0.2, 0.2, 0.6, 0.7]] * 3)
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.8], [0.6, 0.1, 0.2, 0.5], [0.3, 0.3, 0.3, 0.3]])
    boxes.requires_grad_()
    found = loss(boxes, truth)
    alone = loss(boxes[:1].detach(), truth[:1])
    assert torch.equal(found[0], alone[0])
    assert found[0] > 0
    assert found[1] == 0
    whole = box_losses(boxes, truth, kind)
    assert whole.unordered == pytest.approx(1 / 3)
    (whole.overlap + whole.l1).backward()
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()
    assert boxes.grad[1].any(), "the corners' distance still pulls it"


def test_boxes_of_another_shape_are_refused():
    with pytest.raises(InputError, match="must be"):
        box_losses(torch.zeros(2, 4), torch.zeros(3, 4))


def test_boxes_come_back_into_the_image_as_in_the_original(shared):
    table = json.loads((shared / "golden/vot/box_geometry.json").read_text())
    assert len(table["map_back"]) >= 40
    for row in table["map_back"]:
        predicted = torch.tensor(row["pred_cxcywh"], dtype=torch.float32)
        found = map_back(predicted, tuple(row["state"]), row["search_size"], row["resize_factor"])
        assert found == pytest.approx(row["mapped_xywh"], abs=1e-9)
        clipped = clip_box(found, row["H"], row["W"], row["margin"])
        assert clipped == pytest.approx(row["clipped_xywh"], abs=1e-9)
    for row in table["clip_box"]:
        found = clip_box(tuple(row["box"]), row["H"], row["W"], row["margin"])
        assert found == pytest.approx(row["out"], abs=1e-9)


def test_without_parity_a_box_goes_into_the_crop_and_back():
    box, around = (30.0, 22.0, 17.0, 9.0), (28.0, 20.0, 20.0, 12.0)
    x, y, w, h = box_in_crop(box, around, 320, 2.5, parity=False)
    predicted = torch.tensor([x + w / 2, y + h / 2, w, h])
    assert map_back(predicted, around, 320, 2.5) == pytest.approx(box, abs=1e-4)
    skewed = box_in_crop(box, around, 320, 2.5)
    assert skewed[0] == pytest.approx(x - 0.5 / 320)


def test_forms_of_boxes_agree():
    boxes = torch.tensor([[0.1, 0.2, 0.5, 0.8], [0.6, 0.1, 0.2, 0.5]])
    assert torch.allclose(corners_of_cxcywh(cxcywh_of_corners(boxes)), boxes)
