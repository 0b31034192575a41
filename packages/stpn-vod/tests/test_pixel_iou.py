from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_vod.pixel_iou import pixel_area, pixel_iou

corner = st.integers(-30, 30)
box = st.tuples(corner, corner, corner, corner)


def pixels(b) -> set[tuple[int, int]]:
    return {(x, y) for x in range(b[0], b[2] + 1) for y in range(b[1], b[3] + 1)}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(box, box), min_size=1, max_size=4))
def test_counts_pixels(rows):
    a, b = (np.array([row[i] for row in rows], float) for i in (0, 1))
    want = [len(pixels(p) & pixels(q)) / max(1, len(pixels(p) | pixels(q))) for p, q in rows]
    np.testing.assert_allclose(pixel_iou(a, b), want, atol=1e-15)
    np.testing.assert_array_equal(pixel_iou(a, b), pixel_iou(b, a))


def test_extra_pixels_on_each_side():
    a, b = np.array([[10.0, 10, 28, 28]]), np.array([[10.0, 10, 18, 28]])
    assert pixel_iou(a, b, 2)[0] == 0.5
    assert pixel_iou(a, b, 1)[0] == 9 / 19
    assert pixel_iou(a, b, 0)[0] == 8 / 18
    assert pixel_area(a, 2)[0] == 400


def test_empty_and_pointlike():
    none = np.zeros((0, 4))
    assert pixel_iou(none, none).shape == (0,)
    point = np.array([[3.0, 3, 3, 3]])
    assert pixel_iou(point, point)[0] == 1.0
    assert pixel_iou(point, point, 0)[0] == pytest.approx(0)
