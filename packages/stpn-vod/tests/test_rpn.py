"""Region proposals: reference tensors, images without objects, images that must not mix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stpn_core import Features
from stpn_vod.dense import dense_predictions
from stpn_vod.losses import box_regression_loss
from stpn_vod.matching import BACKGROUND, IGNORED
from stpn_vod.proposals import ProposalSelection
from stpn_vod.rpn import RPN
from stpn_vod.sampling import Sampler

STRIDES = (4, 8, 16, 32, 64)


def _rpn(samples: int = 256, channels: int = 8) -> RPN:
    return RPN(channels, sampler=Sampler(samples, 0.5, "first"), selection=ProposalSelection())


@pytest.mark.parametrize("name", ["e3_rpn_all", "e4_rpn_256"])
def test_equals_the_released_implementation(golden, name):
    tensors, description = golden(f"vod/{name}")
    config = description["config"]
    rpn = _rpn(config["sampler_num"])
    logits = [tensors[f"in.cls{i}"].requires_grad_() for i in range(5)]
    deltas = [tensors[f"in.reg{i}"].requires_grad_() for i in range(5)]
    sizes = torch.tensor([config["meta"]["img_shape"]])
    boxes = tensors["in.gt_boxes"]
    dense = dense_predictions(Features(tuple(logits), STRIDES), logits, deltas, sizes)
    assert_close(dense.anchors, tensors["out.anchors"], atol=1e-4, rtol=0)
    assert dense.on_image.all()

    matches = rpn.match(dense, 0, boxes)
    assigned = tensors["out.assigned_gt_inds"].long()
    assert torch.equal(matches >= 0, assigned > 0)
    assert torch.equal(matches[matches >= 0] + 1, assigned[assigned > 0])
    assert torch.equal(matches == BACKGROUND, assigned == 0)
    positive, negative = rpn.sampler(matches)
    assert [len(positive), len(negative)] == tensors["out.num_pos_neg"].long().tolist()
    weights = torch.zeros(len(matches))
    weights[torch.cat([positive, negative])] = 1
    assert torch.equal(weights, tensors["out.label_weights"])
    targets = rpn.coder.encode(dense.anchors[positive], boxes[matches[positive]])
    assert_close(targets, tensors["out.bbox_targets"][positive], atol=1e-5, rtol=1e-5)

    losses = rpn.loss(dense, [boxes])
    for loss in ("loss_rpn_cls", "loss_rpn_bbox"):
        assert_close(losses[loss], tensors[f"out.{loss}"].sum(), atol=0, rtol=1e-5)
    torch.stack(list(losses.values())).sum().backward()
    for level in (0, 2, 4):
        _close_gradient(logits[level], tensors[f"out.grad_cls{level}"])
        _close_gradient(deltas[level], tensors[f"out.grad_reg{level}"])

    (proposals,) = rpn.propose(dense, sizes, 300)
    expected = tensors["out.proposals"]
    assert_close(proposals.boxes, expected[:, :4], atol=0.01, rtol=0)
    assert_close(proposals.scores, expected[:, 4], atol=1e-5, rtol=0)


def _close_gradient(leaf: Tensor, expected: Tensor) -> None:
    gradient = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
    assert_close(gradient, expected, atol=1e-5 * max(float(expected.abs().max()), 1e-3), rtol=1e-5)


def _pyramid(height: int, width: int, batch: int = 1, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(
        torch.randn(batch, 8, -(-height // s), -(-width // s), generator=generator) for s in STRIDES
    )
    return Features(maps, STRIDES)


def _excited(rpn: RPN) -> RPN:
    """Large weights, so that proposals differ from their anchors."""
    generator = torch.Generator().manual_seed(1)
    for parameter in rpn.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    return rpn


def test_proposals_are_inside_solid_and_sorted():
    rpn, pyramid, sizes = _excited(_rpn()), _pyramid(96, 128), torch.tensor([[90, 101]])
    (proposals,) = rpn.propose(rpn(pyramid, sizes), sizes, 50)
    boxes = proposals.boxes
    assert 0 < len(boxes) <= 50
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert (boxes >= 0).all()
    assert boxes[:, 2].max() <= 101
    assert boxes[:, 3].max() <= 90
    assert (proposals.scores.diff() <= 0).all()


@pytest.mark.parametrize(("pad_to", "side"), [(32, 64), (16, 48)])
def test_padding_brought_by_a_larger_image_changes_nothing(pad_to, side):
    rpn, sizes = _excited(_rpn()), torch.tensor([[side - 9, side], [128, 160]])
    rpn.pad_to = pad_to
    alone, together = _pyramid(side, side), _pyramid(128, 160, batch=2, seed=1)
    with torch.no_grad():
        small, large = rpn(alone, sizes[:1]), rpn(together, sizes)
    # what the network says on the small image's own cells, inside the larger maps
    mine = large.on_image[0]
    assert int(mine.sum()) == small.logits.shape[1]
    logits, deltas = large.logits.clone(), large.deltas.clone()
    logits[0, mine], deltas[0, mine] = small.logits[0], small.deltas[0]
    logits[0, ~mine], deltas[0, ~mine] = 50.0, torch.nan
    large = type(large)(logits, deltas, large.anchors, large.on_image, large.level_lengths)
    expected = rpn.propose(small, sizes[:1], 300)[0]
    got = rpn.propose(large, sizes, 300)[0]
    assert torch.equal(got.boxes, expected.boxes)
    assert torch.equal(got.scores, expected.scores)
    box = torch.tensor([[5.0, 5.0, 40.0, 40.0]])
    assert torch.equal(rpn.match(large, 0, box)[mine], rpn.match(small, 0, box))
    assert (rpn.match(large, 0, box)[~mine] == IGNORED).all()


def test_an_image_without_objects_learns_background_and_divides_by_one_more():
    rpn, pyramid, sizes = _rpn(), _pyramid(96, 128), torch.tensor([[96, 128]])
    dense = rpn(pyramid, sizes)
    losses = rpn.loss(dense, [torch.zeros(0, 4)])
    assert losses["loss_rpn_bbox"].item() == 0
    sampled = torch.nn.functional.softplus(dense.logits[0, :256]).sum()
    assert_close(losses["loss_rpn_cls"], sampled / 257)
    losses["loss_rpn_bbox"].backward()
    assert rpn.deltas.weight.grad is not None, "the loss stays connected, as data parallel needs"


def test_an_image_without_background_divides_by_one_more():
    pyramid, sizes = _pyramid(96, 128), torch.tensor([[96, 128]])
    rpn = RPN(8, sampler=Sampler(1, 1.0, "first"), selection=ProposalSelection())
    dense, box = rpn(pyramid, sizes), torch.tensor([[10.0, 10.0, 50.0, 60.0]])
    positive, negative = rpn.sampler(rpn.match(dense, 0, box))
    assert (len(positive), len(negative)) == (1, 0)
    expected = torch.nn.functional.softplus(-dense.logits[0, positive[0]]) / 2
    assert_close(rpn.loss(dense, [box])["loss_rpn_cls"], expected)


def test_batch_loss_averages_over_all_samples():
    rpn, sizes = _rpn(samples=64), torch.tensor([[96, 128], [96, 128]])
    pyramid = _pyramid(96, 128, batch=2)
    boxes = [torch.tensor([[10.0, 10.0, 50.0, 60.0]]), torch.tensor([[0.0, 0.0, 30.0, 30.0]])]
    dense = rpn(pyramid, sizes)
    both = rpn.loss(dense, boxes)
    total = {name: torch.zeros(()) for name in both}
    counted = 0
    for row in range(2):
        one = Features(tuple(m[row : row + 1] for m in pyramid.maps), STRIDES)
        alone = rpn(one, sizes[:1])
        positive, negative = rpn.sampler(rpn.match(alone, 0, boxes[row]))
        samples = max(len(positive), 1) + max(len(negative), 1)
        counted += samples
        for name, value in rpn.loss(alone, [boxes[row]]).items():
            total[name] = total[name] + value * samples
    for name, value in both.items():
        assert_close(value, total[name] / counted)


def test_nan_predictions_propose_nothing():
    rpn, sizes = _rpn(), torch.tensor([[64, 64]])
    pyramid = _pyramid(64, 64)
    for level in pyramid.maps:
        level.fill_(torch.nan)
    assert len(rpn.propose(rpn(pyramid, sizes), sizes, 300)[0].boxes) == 0


def test_smooth_l1_has_its_knee_at_one_ninth():
    deltas = torch.tensor([[1 / 9, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert_close(box_regression_loss(deltas, torch.zeros(2, 4)), torch.tensor(1 / 18 + 1 - 1 / 18))
