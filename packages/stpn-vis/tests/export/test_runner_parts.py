"""The runner's arithmetic in numpy against the same in torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.errors import NumericsError
from stpn_vis import full_size as torch_full_size
from stpn_vis import linking as torch_linking
from stpn_vis.linking import best_slots
from stpn_vis.runner.full_size import full_size_logits
from stpn_vis.runner.linking import link

side = st.integers(1, 60)


@settings(max_examples=30, deadline=None)
@given(grid=st.tuples(st.integers(1, 12), st.integers(1, 12)), original=st.tuples(side, side))
def test_masks_get_the_size_of_the_file_as_in_torch(
    grid: tuple[int, int], original: tuple[int, int]
) -> None:
    logits = np.random.default_rng(0).standard_normal((2, *grid)).astype(np.float32)
    padded = grid[0] * 4, grid[1] * 4
    size = max(1, padded[0] - 3), max(1, padded[1] - 2)
    sizes = padded, size, original
    expected = torch_full_size.full_size_logits(torch.from_numpy(logits), *sizes)
    np.testing.assert_allclose(full_size_logits(logits, *sizes), expected, atol=1e-5)
    assert full_size_logits(logits[:0], *sizes).shape == (0, *original)


def test_queries_are_linked_as_in_torch() -> None:
    rng = np.random.default_rng(0)
    base, ours, theirs, moved = rng.standard_normal((8, 16)), None, None, False
    for _ in range(6):
        shuffled = rng.permutation(8)
        embeddings = (base + 0.3 * rng.standard_normal(base.shape))[shuffled].astype(np.float32)
        embeddings[0] *= 0
        logits = rng.standard_normal((8, 4)).astype(np.float32)
        order, ours = link(ours, logits, embeddings)
        tensors = torch.from_numpy(logits), torch.from_numpy(embeddings)
        expected, theirs = torch_linking.link(theirs, *tensors)
        assert order.tolist() == expected.tolist()
        moved = moved or order.tolist() != list(range(8))
        _, labels, scores = best_slots(theirs.mean_logits, 1)
        assert ours.scores().max() == pytest.approx(float(scores[0]), abs=1e-6)
        assert ours.scores().argmax() % 3 == int(labels[0])
    assert moved


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    good = np.ones((2, 3), np.float32)
    _, state = link(None, good, good)
    link(state, good, good)
    for logits, embeddings in ((good * bad, good), (good, good * bad)):
        with pytest.raises(NumericsError, match="damaged"):
            link(state, logits, embeddings)
