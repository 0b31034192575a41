"""What the second stage learns from."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from stpn_vod.boxes import BoxCoder
from stpn_vod.losses import roi_losses
from stpn_vod.matching import Matcher
from stpn_vod.roi_targets import region_targets
from stpn_vod.sampling import Sampler

PARTS = {
    "matcher": Matcher(0.5, 0.5, low_quality=0.5),
    "sampler": Sampler(256, 0.25, "first"),
    "coder": BoxCoder((0.2, 0.2, 0.2, 0.2)),
}


def test_equals_the_released_implementation(golden):
    tensors, _ = golden("vod/e5_roi_targets")
    targets = region_targets(
        tensors["in.proposals"],
        tensors["in.gt_boxes"],
        tensors["in.gt_labels"].long(),
        30,
        **PARTS,
    )
    positives = len(targets.deltas)
    assert [positives, len(targets.labels) - positives] == tensors["out.num_pos_neg"].tolist()
    assert_close(targets.regions, tensors["out.sampled_boxes"], atol=1e-5, rtol=0)
    assert torch.equal(targets.labels, tensors["out.labels"].long())
    assert_close(targets.deltas, tensors["out.bbox_targets"][:positives], atol=1e-5, rtol=1e-5)

    logits = tensors["in.cls_score"].requires_grad_()
    deltas = tensors["in.bbox_pred"].requires_grad_()
    losses = roi_losses(logits, deltas.unflatten(1, (30, 4)), targets.labels, targets.deltas)
    for name, value in losses.items():
        assert_close(value, tensors[f"out.{name}"].reshape(()), atol=0, rtol=1e-5)
    torch.stack(list(losses.values())).sum().backward()
    assert_close(logits.grad, tensors["out.grad_cls_score"], atol=1e-6, rtol=1e-4)
    assert_close(deltas.grad, tensors["out.grad_bbox_pred"], atol=1e-6, rtol=1e-4)


def test_annotated_boxes_come_first_and_match_themselves():
    # the second box is the better match of the proposal, the first still matches itself
    boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 11.0]])
    proposals = torch.tensor([[0.0, 0.0, 10.0, 12.0], [50.0, 50.0, 60.0, 60.0]])
    targets = region_targets(proposals, boxes, torch.tensor([3, 4]), 30, **PARTS)
    assert torch.equal(targets.regions, torch.cat([boxes, proposals]))
    assert targets.labels.tolist()[:2] == [3, 4]
    assert targets.labels.tolist()[3] == 30
    assert_close(targets.deltas[:2], torch.zeros(2, 4))


def test_no_annotation_and_no_proposal():
    nothing, no_label = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    background = region_targets(torch.tensor([[0.0, 0.0, 9.0, 9.0]]), nothing, no_label, 5, **PARTS)
    assert background.labels.tolist() == [5]
    assert background.deltas.shape == (0, 4)
    empty = region_targets(nothing, nothing, no_label, 5, **PARTS)
    assert empty.regions.shape == (0, 4)


def test_losses_of_no_regions_are_zero_and_connected():
    logits = torch.zeros(0, 6, requires_grad=True)
    deltas = torch.zeros(0, 5, 4, requires_grad=True)
    losses = roi_losses(logits, deltas, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))
    total = torch.stack(list(losses.values())).sum()
    assert total.item() == 0
    total.backward()
    assert logits.grad is not None
    assert deltas.grad is not None
