from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.errors import InputError
from stpn_vod.boxes import iou
from stpn_vod.tracks import start_tracks
from stpn_vod.tracks.assign import assign, overlaps


def best(likeness: np.ndarray, allowed: np.ndarray) -> float:
    """Largest total likeness, by trying everything."""
    rows, columns = likeness.shape
    values = np.where(allowed, likeness, 0)
    if rows > columns:
        values, rows, columns = values.T, columns, rows
    return max(
        sum(values[i, j] for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(columns), rows)
    )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_the_best_of_all_choices(rows: int, columns: int, seed: int):
    rng = np.random.default_rng(seed)
    likeness, allowed = rng.random((rows, columns)), rng.random((rows, columns)) < 0.6
    i, j = assign(likeness, allowed)
    assert allowed[i, j].all()
    assert len(set(i.tolist())) == len(i) == len(set(j.tolist())) == len(j)
    assert i.tolist() == sorted(i.tolist())
    assert likeness[i, j].sum() == pytest.approx(best(likeness, allowed))


def test_nobody_allowed_nobody_chosen():
    none = np.zeros((3, 2), bool)
    for rows, columns in (assign(np.ones((3, 2)), none), assign(np.ones((0, 2)), none[:0])):
        assert (len(rows), len(columns)) == (0, 0)


def test_a_likeness_of_nothing_is_no_reason():
    rows, _ = assign(np.zeros((2, 2)), np.ones((2, 2), bool))
    assert len(rows) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_overlap_is_that_of_the_detector(seed: int):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(-4, 9, (5, 4)) / 1.5, rng.integers(-4, 9, (3, 4)) / 1.5
    expected = iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()
    assert overlaps(first, second) == pytest.approx(expected, abs=1e-6)
    assert overlaps(first[:0], second).shape == (0, 3)


def test_a_box_without_area_overlaps_nothing():
    assert overlaps(np.full((1, 4), 3.0), np.full((1, 4), 3.0)).tolist() == [[0.0]]


def test_without_lap_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "lap", None)
    with pytest.raises(InputError, match=r"pip install 'stpn-vod\[tracks\]'"):
        start_tracks()
