"""Matching and losses against tensors computed by the released implementation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stpn_vis.criterion import Criterion
from stpn_vis.matcher import MatchCost, match
from stpn_vis.points import uncertain_points
from stpn_vis.predictions import Target


class Case:
    """A golden case: predictions, targets, and the points that the released code drew."""

    def __init__(self, tensors: dict[str, Tensor], about: dict) -> None:
        config = about["config"]
        self.tensors, self.bounds = tensors, about["tolerance"]
        self.layers, self.batch = config["n_predictions"], config["batch"]
        self.logits = tensors["in.pred_logits"].requires_grad_()
        self.masks = tensors["in.pred_masks"].requires_grad_()
        self.targets = [
            Target(tensors[f"in.labels.{b}"], tensors[f"in.gt_masks.{b}"])
            for b in range(self.batch)
        ]
        self.criterion = Criterion(
            MatchCost(config["class_weight"], config["mask_weight"], config["dice_weight"]),
            no_object_weight=config["no_object_weight"],
            points=config["num_points"],
            oversample=config["oversample_ratio"],
            importance=config["importance_sample_ratio"],
        )
        parts = ("over", "rand")
        drawn = [tensors["in.points.match"][layer] for layer in range(self.layers)]
        drawn += [tensors[f"in.points.{p}"][layer] for layer in range(self.layers) for p in parts]
        self._drawn = iter(drawn)

    def draw(self, shape: tuple[int, ...]) -> Tensor:
        points = next(self._drawn)
        assert points.shape == shape
        return points

    def losses(self) -> dict[str, Tensor]:
        return self.criterion(list(self.logits), list(self.masks), self.targets, self.draw)


@pytest.fixture(params=[0, 1])
def case(golden, request) -> Case:
    return Case(*golden(f"vis/D_criterion_{request.param}"))


def test_golden_costs_and_assignments(case):
    labels = [target.labels for target in case.targets]
    wholes = [target.masks.float() for target in case.targets]
    for layer in range(case.layers):
        costs = case.criterion.costs(
            case.logits[layer], case.masks[layer], labels, wholes, case.draw
        )
        for row, (cost, (queries, objects)) in enumerate(zip(costs, match(costs), strict=True)):
            assert_close(cost, case.tensors[f"out.cost.{layer}.{row}"], **case.bounds["cost"])
            assert torch.equal(queries, case.tensors[f"out.assign.{layer}.{row}.query"])
            assert torch.equal(objects, case.tensors[f"out.assign.{layer}.{row}.target"])


def test_golden_losses_and_gradients(case):
    losses = case.losses()
    criterion = case.criterion
    weights = {
        "ce": criterion.cost.class_weight,
        "mask": criterion.cost.mask_weight,
        "dice": criterion.cost.dice_weight,
    }
    for kind, weight in weights.items():
        for layer in range(case.layers):
            suffix = "" if layer == case.layers - 1 else f"_{layer}"
            expected = weight * case.tensors[f"out.loss_{kind}.{layer}"][0]
            assert_close(losses[f"loss_{kind}{suffix}"], expected, **case.bounds["loss"])
    assert len(losses) == 3 * case.layers
    total = torch.stack(list(losses.values())).sum()
    assert_close(total, case.tensors["out.total_weighted"][0], atol=1e-5, rtol=1e-5)
    total.backward()
    assert_close(case.logits.grad, case.tensors["out.grad.pred_logits"], **case.bounds["grad"])
    assert_close(case.masks.grad, case.tensors["out.grad.pred_masks"], **case.bounds["grad"])


def test_golden_uncertain_points(case):
    for layer in range(case.layers):
        rows = [
            (row, int(query))
            for row in range(case.batch)
            for query in case.tensors[f"out.assign.{layer}.{row}.query"]
        ]
        masks = torch.stack([case.masks[layer, row, query] for row, query in rows])
        stored = iter(
            [case.tensors["in.points.over"][layer], case.tensors["in.points.rand"][layer]]
        )
        found = uncertain_points(
            masks,
            lambda shape, stored=stored: next(stored),
            points=64,
            oversample=3,
            importance=0.75,
        )
        expected = case.tensors[f"out.sample_points.{layer}"]
        for mine, theirs in zip(found, expected, strict=True):
            assert sorted(map(tuple, mine.tolist())) == sorted(map(tuple, theirs.tolist()))


def _uniform(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def test_a_perfect_prediction_costs_next_to_nothing_and_a_wrong_one_does_not():
    masks = torch.zeros(2, 32, 32)
    masks[0, :16, :16], masks[1, 16:] = 1, 1
    target = Target(torch.tensor([1, 0]), masks.bool())
    logits = torch.full((1, 3, 4), -20.0)
    logits[0, [0, 1, 2], [0, 3, 1]] = 20
    predicted = torch.full((1, 3, 32, 32), -20.0)
    predicted[0, 0], predicted[0, 2] = (masks[1] - 0.5) * 40, (masks[0] - 0.5) * 40
    criterion = Criterion(points=256)
    perfect = criterion([logits], [predicted], [target], _uniform)
    # points between an object and its background have no right answer
    assert perfect["loss_ce"] < 1e-6
    assert perfect["loss_dice"] < 0.5
    wrong = criterion([logits.roll(1, dims=2)], [-predicted], [target], _uniform)
    for kind, loss in wrong.items():
        assert loss > 1 + perfect[kind]


def test_an_object_missing_from_the_frame_is_a_target_with_an_empty_mask():
    target = Target(torch.tensor([2]), torch.zeros(1, 32, 32, dtype=torch.bool))
    logits, masks = torch.zeros(1, 2, 4), torch.full((1, 2, 16, 16), -20.0)
    losses = Criterion(points=64)([logits], [masks], [target], _uniform)
    assert losses["loss_mask"] < 1e-3
    assert losses["loss_dice"] < 1e-3
    losses = Criterion(points=64)([logits], [-masks], [target], _uniform)
    assert losses["loss_mask"] > 50


def test_the_normaliser_is_the_mean_over_ranks(monkeypatch):
    target = Target(torch.tensor([2]), torch.ones(1, 32, 32, dtype=torch.bool))
    given = ([torch.zeros(1, 2, 4)], [torch.zeros(1, 2, 16, 16)], [target], _uniform)
    alone = Criterion(points=64)(*given)
    seen = []

    def three_on_average(values: dict[str, float]) -> dict[str, float]:
        seen.append(values)
        return {"objects": 3.0}

    monkeypatch.setattr("stpn_vis.criterion.mean_over_ranks", three_on_average)
    together = Criterion(points=64)(*given)
    assert seen == [{"objects": 1.0}]
    assert_close(together["loss_mask"] * 3, alone["loss_mask"])
    assert_close(together["loss_dice"] * 3, alone["loss_dice"])
    assert torch.equal(together["loss_ce"], alone["loss_ce"])


def test_nan_reaches_the_loss_and_not_the_solver():
    target = Target(torch.tensor([2, 1]), torch.ones(2, 32, 32, dtype=torch.bool))
    logits, masks = torch.zeros(1, 3, 4), torch.zeros(1, 3, 16, 16)
    masks[0, 1] = torch.nan
    losses = Criterion(points=64)([logits], [masks], [target], _uniform)
    assert losses["loss_mask"].isfinite(), "the broken query is the last choice"
    logits[:] = torch.nan
    losses = Criterion(points=64)([logits], [masks * torch.nan], [target], _uniform)
    assert losses["loss_ce"].isnan()
    assert losses["loss_mask"].isnan()


def test_nothing_to_match():
    assert match([]) == []
    (pairs,) = match([torch.zeros(3, 0)])
    assert [len(part) for part in pairs] == [0, 0]
