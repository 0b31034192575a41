from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from stpn_data.errors import DataError
from stpn_data.polygon import polygons_mask

SIDES = st.integers(1, 40)
NUMBERS = st.one_of(
    st.integers(-20, 60).map(float), st.floats(-20, 60, allow_nan=False), st.just(12.5)
)
POLYGONS = st.lists(
    st.lists(NUMBERS, min_size=6, max_size=16).map(lambda p: p[: len(p) // 2 * 2]),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(POLYGONS, SIDES, SIDES)
def test_the_pixels_are_those_of_pycocotools(
    polygons: list[list[float]], height: int, width: int
) -> None:
    # the other one does not clamp; within this range clamping is ours alone
    near = [
        np.clip(np.reshape(p, (-1, 2)), [-width, -height], [2 * width, 2 * height]).ravel().tolist()
        for p in polygons
    ]
    theirs = coco.decode(coco.merge(coco.frPyObjects(near, height, width)))
    assert np.array_equal(polygons_mask(polygons, height, width), theirs)


def test_a_rectangle_has_the_pixels_it_encloses() -> None:
    mask = polygons_mask([[2, 3, 6, 3, 6, 9, 2, 9]], 12, 10)
    assert mask.sum() == 24
    assert mask[3:9, 2:6].all()


def test_coordinates_from_far_away_cost_nothing() -> None:
    mask = polygons_mask([[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]], 20, 30)
    assert mask.all()


@pytest.mark.parametrize(
    ("polygon", "reason"),
    [
        ([1, 2, 3, 4], "6 or more"),
        ([1, 2, 3, 4, 5, 6, 7], "even count"),
        ([1, 2, 3, 4, 5, float("nan")], "finite"),
        ([1, 2, 3, 4, 5, "x"], "no list of numbers"),
        ([[1, 2], [3, 4], [5, 6]], "no list of numbers"),
        ([True, 2, 3, 4, 5, 6], "no list of numbers"),
        (["1", 2, 3, 4, 5, 6], "no list of numbers"),
        ([0, 0, 9000, 9000] * 200, "absurdly long"),
        (7, "even count"),
    ],
)
def test_what_is_no_polygon(polygon: object, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        polygons_mask([polygon], 9000, 9000)  # type: ignore[list-item]
