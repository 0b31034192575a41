from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_data.arrays.crops import cut
from stpn_data.errors import DataError
from stpn_data.tracking import crops

IMAGE = np.random.default_rng(0).integers(0, 256, (3, 40, 56)).astype(np.uint8)
PLACE = st.floats(-40, 80, width=32)
LENGTH = st.floats(0.25, 90, width=32)


@settings(max_examples=60, deadline=None)
@given(st.tuples(PLACE, PLACE, LENGTH, LENGTH), st.floats(1, 5), st.integers(3, 70), st.booleans())
def test_pixels_are_those_of_tensors(box, factor, size, parity):
    pixels, scale = cut(IMAGE, box, factor, size, parity=parity)
    like = crops.cut(torch.from_numpy(IMAGE), box, factor, size, parity=parity)
    assert scale == like.scale
    assert np.array_equal(pixels, like.pixels.numpy())


def test_what_cannot_be_cut_is_refused():
    with pytest.raises(DataError, match="no area"):
        cut(IMAGE, (1, 1, 0, 5), 2, 8)
    with pytest.raises(DataError, match="uint8"):
        cut(IMAGE.astype(np.float32), (1, 1, 5, 5), 2, 8)  # type: ignore[arg-type]
