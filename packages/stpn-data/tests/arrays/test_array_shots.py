from __future__ import annotations

import numpy as np
import pytest
import torch

from stpn_data import shots as reference
from stpn_data.arrays import shots


def frame(seed: int, shift: int = 0) -> np.ndarray:
    """uint8 (80, 120, 3): coloured blocks that move."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (10, 15, 3)).astype(np.uint8)
    return np.roll(blocks.repeat(8, 0).repeat(8, 1), shift, 1)


@pytest.mark.parametrize("step", [0, 1, 8, 60])
@pytest.mark.parametrize("other", [0, 1, 7])
def test_cuts_are_where_torch_finds_them(step: int, other: int) -> None:
    a, b = frame(0).transpose(2, 0, 1), frame(other, step).transpose(2, 0, 1)
    expected = reference.shot_changed(torch.from_numpy(a.copy()), torch.from_numpy(b.copy()))
    assert shots.shot_changed(a, b) == expected
    assert expected == (other != 0)


def test_limits_and_distances_are_the_same() -> None:
    assert shots.COLOUR_LIMIT == reference.COLOUR_LIMIT
    assert shots.LAYOUT_LIMIT == reference.LAYOUT_LIMIT
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 256, (2, 3, 70, 90)).astype(np.uint8)
    left, right = shots._sample(a), shots._sample(b)
    colours = np.abs(shots._colours(left) - shots._colours(right)).sum() / 2
    layout = shots._likeness(shots._layout(left), shots._layout(right))
    tensors = torch.from_numpy(left), torch.from_numpy(right)
    assert colours == pytest.approx(reference.colour_distance(*tensors), abs=1e-5)
    assert layout == pytest.approx(reference.layout_likeness(*tensors), abs=1e-5)


def test_another_size_is_a_cut() -> None:
    assert shots.shot_changed(np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 9), np.uint8))
