from __future__ import annotations

import builtins
import json

import numpy as np
import pytest
import torch

from stpn_core.errors import NumericsError
from stpn_vis import rle
from stpn_vis.full_size import full_size_logits
from stpn_vis.linking import best_slots, link
from stpn_vis.query_matching import assign, match_queries


def linked(tensors):
    state, orders = None, []
    for logits, embeddings in zip(tensors["in.pred_logits"], tensors["in.pred_embds"], strict=True):
        order, state = link(state, logits, embeddings)
        orders.append(order)
    return torch.stack(orders), state


@pytest.mark.parametrize("case", ["E_inference_0", "E_inference_2"])
def test_alignment_scores_and_masks_are_the_released_ones(case, golden, shared):
    tensors, facts = golden(f"vis/{case}")
    orders, state = linked(tensors)
    assert torch.equal(orders, tensors["out.align"].long())
    torch.testing.assert_close(state.mean_logits, tensors["out.avg_logits"], atol=1e-5, rtol=1e-5)
    slots, labels, scores = best_slots(state.mean_logits, facts["config"]["topk"])
    assert torch.equal(slots, tensors["out.query"].long())
    assert torch.equal(labels, tensors["out.labels"].long())
    torch.testing.assert_close(scores, tensors["out.scores"], atol=1e-6, rtol=0)

    sizes = [tuple(facts[f"{name}_size"]) for name in ("padded", "image", "output")]
    expected = json.loads((shared / "golden" / "vis" / f"{case}_rle.json").read_text())
    unsure = differing = 0
    for t, masks in enumerate(tensors["in.pred_masks"]):
        logits = full_size_logits(masks[orders[t]][slots], *sizes)
        for k, one in enumerate(logits):
            theirs = rle.decode(rle.as_rle(expected[k][t], 0, 0, case)).astype(bool)
            wrong = (one > 0).numpy() != theirs
            assert (one.abs().numpy()[wrong] < 1e-3).all()
            differing += int(wrong.sum())
            unsure += int((one.abs() < 1e-3).sum())
    assert differing <= unsure


def test_a_known_permutation_is_recovered():
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(30, 16, generator=generator)
    shuffle = torch.randperm(30, generator=generator)
    noisy = queries[shuffle] + 0.1 * torch.randn(30, 16, generator=generator)
    order = match_queries(queries, noisy)
    assert torch.equal(shuffle[order], torch.arange(30))
    assert not torch.equal(order, torch.arange(30))


def test_length_plays_no_part_and_zero_is_like_nothing():
    queries = torch.eye(4)
    scaled = torch.diag(torch.tensor([1e-3, 5.0, 1e4, 0.0]))
    assert torch.equal(match_queries(queries, scaled), torch.arange(4))


def test_not_a_number_is_an_error_and_not_an_assignment():
    queries = torch.eye(4)
    match_queries(queries, queries)
    broken = queries.clone()
    broken[2, 1] = torch.nan
    with pytest.raises(NumericsError, match="NaN"):
        match_queries(queries, broken)


def test_scipy_gives_the_assignment_that_lap_gives(monkeypatch):
    cost = np.random.default_rng(0).random((60, 60))
    by_lap = assign(cost)
    real = builtins.__import__

    def without_lap(name, *rest):
        if name == "lap":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_lap)
    assert np.array_equal(assign(cost), by_lap)
    assert sorted(by_lap) == list(range(60))


def test_fewer_pairs_than_asked_for():
    slots, labels, scores = best_slots(torch.randn(2, 3), 10)
    assert len(slots) == len(labels) == len(scores) == 4


def test_no_mask_at_all_has_a_size():
    assert full_size_logits(torch.zeros(0, 4, 4), (16, 16), (12, 16), (30, 40)).shape == (0, 30, 40)
