from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_data.errors import DataError
from stpn_data.order import BatchOrder

Sample = tuple[int, int]


def epoch_of(order: BatchOrder, epoch: int) -> list[list[Sample]]:
    start = epoch * order.batches_per_epoch
    return [order.batch(start + i) for i in range(order.batches_per_epoch)]


@settings(max_examples=300, deadline=None)
@given(
    upright=st.lists(st.integers(0, 2), min_size=1, max_size=80),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 4),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 3),
)
def test_ranks_are_disjoint_complete_and_in_step(
    upright: list[int], batch_size: int, world_size: int, seed: int, epoch: int
) -> None:
    groups = np.array(upright)
    settings_ = {"seed": seed, "world_size": world_size}
    if len(groups) < batch_size * world_size:
        with pytest.raises(DataError, match="do not fill one batch"):
            BatchOrder(groups, batch_size, **settings_)
        return
    ranks = [BatchOrder(groups, batch_size, rank=rank, **settings_) for rank in range(world_size)]
    assert len({order.batches_per_epoch for order in ranks}) == 1
    batches = [batch for order in ranks for batch in epoch_of(order, epoch)]
    assert all(len(batch) == batch_size for batch in batches)
    samples = [sample for batch in batches for sample in batch]
    assert {sample[0] for sample in samples} == {epoch}
    positions = [sample[1] for sample in samples]
    assert len(set(positions)) == len(positions)
    assert set(positions) <= set(range(len(groups)))
    assert len(groups) - len(positions) < batch_size * world_size
    # batches are mixed only with what did not fill a batch of its group
    mixed = sum(len({upright[i] for _, i in batch}) > 1 for batch in batches)
    assert mixed <= len(set(upright)) * (batch_size - 1) // batch_size


def test_any_batch_can_be_had_at_once() -> None:
    groups = np.arange(103) % 2
    walked = BatchOrder(groups, 4, seed=5, rank=1, world_size=3)
    batches = [walked.batch(i) for i in range(60)]
    for number in (59, 0, 8, 7, 33):
        assert BatchOrder(groups, 4, seed=5, rank=1, world_size=3).batch(number) == batches[number]
        assert walked.batch(number) == batches[number]


def test_epochs_and_seeds_differ_and_leave_out_others() -> None:
    order = BatchOrder(np.zeros(11, np.int64), 4, seed=1)
    used = [{i for batch in epoch_of(order, epoch) for _, i in batch} for epoch in range(12)]
    assert all(len(positions) == 8 for positions in used)
    assert set.union(*used) == set(range(11))
    assert len(set(map(frozenset, used))) > 1
    assert epoch_of(order, 0) != epoch_of(BatchOrder(np.zeros(11, np.int64), 4, seed=2), 0)


@pytest.mark.parametrize(
    "wrong", [{"batch_size": 0}, {"rank": 2, "world_size": 2}, {"seed": -1}, {"rank": -1}]
)
def test_settings_that_make_no_order(wrong: dict[str, int]) -> None:
    with pytest.raises(DataError, match="do not make an order"):
        BatchOrder(np.zeros(9, np.int64), **{"batch_size": 2, **wrong})
