from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_data.arrays.resize import resize
from stpn_data.fit import Resampling
from stpn_data.transforms import resize as torch_resize

side = st.integers(1, 200)


@pytest.mark.parametrize("resampling", ["antialias", "cv2"])
@settings(max_examples=50, deadline=None)
@given(size=st.tuples(side, side), target=st.tuples(side, side), seed=st.integers(0, 9))
def test_every_pixel_is_torchs(
    resampling: Resampling, size: tuple[int, int], target: tuple[int, int], seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    expected = torch_resize(torch.from_numpy(pixels).permute(2, 0, 1), target, resampling)
    assert np.array_equal(resize(pixels, target, resampling), expected.permute(1, 2, 0).numpy())


def test_a_video_frame() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (720, 1280, 3)).astype(np.uint8)
    expected = torch_resize(torch.from_numpy(pixels).permute(2, 0, 1), (563, 1000))
    given = resize(pixels, (563, 1000))
    assert np.array_equal(given, expected.permute(1, 2, 0).numpy())
    assert given.std() > 30  # noise, not a flat field on which anything would agree
