from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stpn_data.boxes import clean_boxes

SIDES = st.one_of(
    st.floats(width=32, allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 1.0, 63.0, 64.0, float(np.float32(64.0001)), 1e6, -1e6, 48.0, 0.5]),
)
BOXES = hnp.arrays(np.float32, st.tuples(st.integers(0, 8), st.just(4)), elements=SIDES)


@given(BOXES, st.sampled_from([(64, 48), (0, 0), (64, 0)]))
def test_clean_boxes_are_finite_inside_and_have_area(boxes: np.ndarray, size: tuple) -> None:
    clean = clean_boxes(boxes, size)
    assert np.isfinite(clean.boxes).all()
    assert (clean.boxes >= 0).all()
    assert (clean.boxes[:, 2:] - clean.boxes[:, :2] >= 1).all()
    for axis, limit in enumerate(size):
        if limit:
            assert (clean.boxes[:, axis::2] <= limit).all()
    assert len(clean.boxes) + clean.dropped == len(boxes)
    changed = [i for row, i in zip(clean.boxes, clean.kept, strict=True) if (row != boxes[i]).any()]
    assert clean.clipped == len(changed)
    again = clean_boxes(clean.boxes, size)
    assert (again.clipped, again.dropped) == (0, 0)
    assert np.array_equal(again.boxes, clean.boxes)


@given(BOXES)
def test_each_frame_is_bounded_by_its_own_size(boxes: np.ndarray) -> None:
    sizes = np.array([(64, 48), (10, 10)])[np.arange(len(boxes)) % 2]
    both = clean_boxes(boxes, sizes)
    for parity, size in enumerate([(64, 48), (10, 10)]):
        rows = both.kept % 2 == parity
        alone = clean_boxes(boxes[parity::2], size)
        assert np.array_equal(both.boxes[rows], alone.boxes)


def test_what_happens_to_each_kind_of_box() -> None:
    boxes = [
        [1, 2, 5, 6],  # kept
        [-3, 2, 5, 99],  # clipped
        [5, 2, 1, 6],  # inverted
        [1, 2, 1, 6],  # no width
        [64, 0, 80, 10],  # touches the border from outside
        [np.nan, 0, 5, 5],
        [0, 0, np.inf, 5],
        [1, 1, 1.5, 9],  # under a pixel
    ]
    clean = clean_boxes(boxes, (64, 48))
    assert clean.boxes.tolist() == [[1, 2, 5, 6], [0, 2, 5, 48]]
    assert (clean.clipped, clean.dropped) == (1, 6)
    assert len(clean_boxes([[1, 1, 1.5, 9]], (64, 48), min_side=0.0).boxes) == 1


@pytest.mark.parametrize("dtype", [np.float16, np.int16, np.int64, np.float64])
def test_any_number_type_is_taken(dtype: type) -> None:
    clean = clean_boxes(np.array([[1, 2, 50, 40]], dtype), (64, 48))
    assert clean.boxes.dtype == np.float32
    assert clean.boxes.tolist() == [[1, 2, 50, 40]]
