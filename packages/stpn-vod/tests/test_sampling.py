"""Which references enter the loss."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_vod.matching import BACKGROUND, IGNORED
from stpn_vod.sampling import Sampler

matches_strategy = st.lists(st.sampled_from([IGNORED, BACKGROUND, 0, 1]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(matches_strategy, st.integers(0, 40), st.sampled_from(["random", "first"]))
def test_counts_and_kinds(rows, number, order):
    matches = torch.tensor(rows, dtype=torch.int64)
    positive, negative = Sampler(number, 0.25, order)(matches)
    available = int((matches >= 0).sum()), int((matches == BACKGROUND).sum())
    assert len(positive) == min(available[0], number // 4)
    assert len(negative) == min(available[1], number - len(positive))
    assert (matches[positive] >= 0).all()
    assert (matches[negative] == BACKGROUND).all()
    assert len(torch.cat([positive, negative]).unique()) == len(positive) + len(negative)


def test_first_takes_the_lowest_indices():
    matches = torch.tensor([BACKGROUND, 0, 0, IGNORED, BACKGROUND, 0, BACKGROUND])
    positive, negative = Sampler(4, 0.5, "first")(matches)
    assert positive.tolist() == [1, 2]
    assert negative.tolist() == [0, 4]


def test_a_generator_makes_it_repeatable_and_another_seed_differs():
    matches = torch.zeros(1000, dtype=torch.int64)
    sampler = Sampler(100, 1.0)

    def draw(seed: int) -> list[int]:
        return sampler(matches, torch.Generator().manual_seed(seed))[0].tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_every_candidate_can_be_drawn():
    matches = torch.zeros(20, dtype=torch.int64)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([Sampler(5, 1.0)(matches, generator)[0] for _ in range(60)])
    assert len(drawn.unique()) == 20
