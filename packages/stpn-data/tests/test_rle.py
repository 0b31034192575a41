from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco

from stpn_data import rle
from stpn_data.errors import DataError

MASKS = arrays(
    np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(0, 1)
)


@settings(max_examples=200, deadline=None)
@given(MASKS)
@example(np.ones((5, 3), np.uint8))
@example(np.zeros((1, 1), np.uint8))
def test_masks_come_back_and_pycocotools_says_the_same(mask: np.ndarray) -> None:
    height, width = mask.shape
    counts = rle.encode(mask)
    theirs = coco.encode(np.asfortranarray(mask))
    assert counts == theirs["counts"]
    assert np.array_equal(rle.decode(counts, height, width), mask)
    runs = rle.decompress(counts)
    assert rle.area(runs) == mask.sum()
    x, y, w, h = coco.toBbox(theirs)
    assert rle.bounds(runs, height) == ((x, y, x + w, y + h) if mask.any() else None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, (1 << 33) - 1), max_size=30))
def test_counts_come_back_from_text(runs: list[int]) -> None:
    assert rle.decompress(rle.compress(runs)).tolist() == runs


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=40), st.integers(1, 30), st.integers(1, 30))
def test_any_text_is_a_mask_or_an_error(counts: bytes, height: int, width: int) -> None:
    try:
        mask = rle.decode(counts, height, width)
    except DataError:
        return
    assert mask.shape == (height, width)
    assert np.array_equal(rle.decode(rle.encode(mask), height, width), mask)


def test_text_cut_anywhere_is_an_error() -> None:
    mask = np.random.default_rng(0).random((60, 80)) < 0.5
    counts = rle.encode(mask)
    for end in range(len(counts)):
        with pytest.raises(DataError):
            rle.decode(counts[:end], 60, 80)
    # what is guarded against: the other decoder takes it, and gives another mask
    cut = next(e for e in range(200, 400) if (counts[e - 1] - 48) & 32 == 0)
    theirs = coco.decode({"size": [60, 80], "counts": counts[:cut]})
    assert not np.array_equal(theirs, mask)


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([5, 3], "add up to 8, but 5×4 pixels are 20"),
        ([10, 11], "add up to 21"),
        ([30, -10], "below 0"),
        ([1 << 40, 3], "above the pixels"),
        ([1 << 70], "no list of whole numbers"),
        ([19.0, 1.0], "no list of whole numbers"),
        ([19, True], "no list of whole numbers"),
        (["20"], "no list of whole numbers"),
        ([[20]], "no list of whole numbers"),
        ([20, [1]], "no list of whole numbers"),
        ([], "add up to 0"),
    ],
)
def test_counts_that_are_no_mask(counts: list[object], reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        rle.checked_runs(counts, 4, 5)  # type: ignore[arg-type]


def test_sizes_that_are_too_large_are_refused_before_anything_is_made() -> None:
    with pytest.raises(DataError, match="1 to 50,000,000 pixels"):
        rle.checked_runs([10**10], 100_000, 100_000)
    with pytest.raises(DataError, match="pixels"):
        rle.decode(b"", 0, 5)
