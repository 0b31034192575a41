from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_core.presence import PromptPresence
from stpn_data.batch import normalise
from stpn_data.tracking import TrackingBatch
from stpn_vot.batch_loss import BatchLoss, frozen_parts
from stpn_vot.box_losses import box_losses
from stpn_vot.config import ObjectiveConfig

from .networks import PROMPTED, TINY, tracker

BOTH = ObjectiveConfig(stage="both")


def batch(positive: tuple[float, ...] = (1.0, 0.0, 1.0), seed: int = 0) -> TrackingBatch:
    rng = torch.Generator().manual_seed(seed)

    def pixels(*shape: int) -> torch.Tensor:
        return torch.randint(0, 256, shape, dtype=torch.uint8, generator=rng)

    count = len(positive)
    corners = torch.rand(count, 4, generator=rng).sort(1).values
    return TrackingBatch(
        template=pixels(count, 3, 48, 48),
        online=pixels(count, 1, 3, 48, 48),
        search=pixels(count, 3, 96, 96),
        support=pixels(count, 2, 3, 96, 96),
        valid=torch.tensor([[True, True], [True, False], [False, False]])[:count],
        box=corners,
        positive=torch.tensor(positive),
        label=torch.arange(count),
        support_labels=[torch.tensor([0]), torch.tensor([1]), torch.tensor([], dtype=torch.long)],
        names=["a", "b", "c"][:count],
    )


def test_boxes_count_where_the_target_is_and_scores_everywhere():
    model, given = tracker(PROMPTED), batch()
    losses = BatchLoss(model, dataclasses.replace(BOTH, score_weight=3.0))(given)
    encoded = model.encode(
        normalise(torch.stack([given.template, given.online[:, 0]], 1)),
        normalise(given.search),
        normalise(given.support),
        given.valid,
    )
    boxes = model.box_head(encoded.features)
    found = box_losses(boxes[[0, 2]], given.box[[0, 2]])
    torch.testing.assert_close(losses["loss_overlap"], 2 * found.overlap)
    torch.testing.assert_close(losses["loss_l1"], 5 * found.l1)
    scores = model.score_head(encoded.features, encoded.cache.first, given.box)
    each = torch.nn.functional.softplus(torch.stack([-scores[0], scores[1], -scores[2]]))
    torch.testing.assert_close(losses["loss_score"], 3 * each.mean())
    assert set(losses) == {"loss_overlap", "loss_l1", "loss_score"}


def test_a_batch_without_the_target_trains_scores_and_leaves_no_gradient_out():
    model = tracker(PROMPTED).train()
    losses = BatchLoss(model, BOTH)(batch((0.0, 0.0)))
    assert losses["loss_overlap"] == losses["loss_l1"] == 0
    torch.stack(list(losses.values())).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert all(bool((p.grad == 0).all()) for p in model.box_head.parameters())


@pytest.mark.parametrize(
    ("objective", "trained"),
    [
        (ObjectiveConfig("boxes"), {"encoder", "box_head", "predictor", "presence"}),
        (ObjectiveConfig("scores"), {"score_head"}),
        (BOTH, {"encoder", "box_head", "predictor", "presence", "score_head"}),
        (ObjectiveConfig("boxes", ("encoder", "box_head")), {"predictor", "presence"}),
        (ObjectiveConfig("boxes", ("predictor",)), {"encoder", "box_head"}),
    ],
)
def test_a_stage_trains_its_parts_and_the_rest_keeps_every_number(objective, trained):
    """What is frozen holds still, statistics too, and draws no random numbers."""
    config = dataclasses.replace(
        PROMPTED, drop_path=0.5, support_grad=True, prompt_aux=0.1, num_classes=3
    )
    model = tracker(config).train()
    assert isinstance(model.presence, PromptPresence)
    for part in frozen_parts(model, objective):
        part.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = BatchLoss(model, objective)(batch())
    torch.stack(list(losses.values())).sum().backward()
    moving = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None}
    assert moving == trained
    changed = {k.split(".")[0] for k, v in model.state_dict().items() if not v.equal(before[k])}
    assert changed == trained & {"box_head"}  # the statistics of its norms
    modes = {name: part.training for name, part in model.named_children()}
    assert {name for name, training in modes.items() if training} == trained


def test_the_twin_looks_at_no_support():
    model = tracker(TINY)
    given = batch()
    other = dataclasses.replace(given, support=given.support.flip(-1), valid=~given.valid)
    ours, theirs = (BatchLoss(model, BOTH)(one) for one in (given, other))
    assert ours == theirs
    prompted = tracker(PROMPTED)
    ours, theirs = (BatchLoss(prompted, BOTH)(one) for one in (given, other))
    assert ours != theirs


def test_prompts_are_asked_what_the_support_shows():
    model = tracker(dataclasses.replace(PROMPTED, prompt_aux=0.5, num_classes=3))
    given = batch()
    seen = BatchLoss(model, BOTH)(given)["loss_presence"]
    labels = [torch.tensor([2]), *given.support_labels[1:]]
    assert (
        BatchLoss(model, BOTH)(dataclasses.replace(given, support_labels=labels))["loss_presence"]
        != seen
    )
    # the last clip has no prompt, so what its support shows is not asked
    labels = [*given.support_labels[:2], torch.tensor([2])]
    assert (
        BatchLoss(model, BOTH)(dataclasses.replace(given, support_labels=labels))["loss_presence"]
        == seen
    )


def test_one_unordered_box_costs_the_others_nothing():
    """MixFormer drops the overlap loss of the whole batch, then."""
    boxes = torch.tensor([[0.1, 0.1, 0.4, 0.5], [0.6, 0.1, 0.2, 0.3]])
    truth = torch.tensor([[0.1, 0.1, 0.3, 0.5], [0.2, 0.1, 0.6, 0.3]])
    both, alone = box_losses(boxes, truth), box_losses(boxes[:1], truth[:1])
    torch.testing.assert_close(both.overlap * 2, alone.overlap)
    assert alone.overlap > 0
