from __future__ import annotations

import numpy as np
import pytest
import torch

from stpn_data.clips import read_frame
from stpn_data.crops import draw_crops
from stpn_data.errors import DataError


@pytest.mark.parametrize("seed", range(6))
def test_crops_show_the_object_wherever_it_is(make_index, seed):
    index = make_index((12, 12))
    images, labels = draw_crops(index, [0, 17], 32, np.random.default_rng(seed))
    assert images.dtype == torch.uint8
    assert images.shape == (2, 3, 32, 32)
    assert labels.tolist() == [0, 1]
    for image in images:
        assert (image == 255).float().mean() > 0.5  # the white rectangle, most of it


def test_colours_are_exchanged_and_crops_turned(make_index):
    index = make_index((1,))
    drawn = [draw_crops(index, [0], 32, np.random.default_rng(seed))[0][0] for seed in range(12)]
    assert len({tuple(image.flatten().tolist()) for image in drawn}) > 6
    assert all(set(image.unique().tolist()) <= {0, 255} for image in drawn)


def test_what_gives_no_crop_says_so(make_index):
    index = make_index((1,), (40, 60))
    assert min(read_frame(index, 0).shape[1:]) == 40
    with pytest.raises(DataError, match="crops need 48 x 48"):
        draw_crops(index, [0], 48, np.random.default_rng(0))
