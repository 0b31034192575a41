"""Grey, brightness and flips."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stpn_data.errors import DataError
from stpn_data.tracking.augment import (
    NO_AUGMENTATION,
    Augmentation,
    Look,
    apply_look,
    draw_looks,
    flipped_box,
    to_grey,
)


def test_shares_are_those_asked_for():
    rng = np.random.default_rng(0)
    drawn = [draw_looks(rng, 3, Augmentation()) for _ in range(4000)]
    assert sum(looks[0].grey for looks in drawn) / 4000 == pytest.approx(0.05, abs=0.01)
    for i in range(3):
        assert sum(looks[i].flip for looks in drawn) / 4000 == pytest.approx(0.5, abs=0.03)
    levels = np.array([[look.brightness for look in looks] for looks in drawn])
    assert 0.8 <= levels.min() < 0.801
    assert 1.199 < levels.max() <= 1.2
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.05
    assert all(len({look.grey for look in looks}) == 1 for looks in drawn)


def test_one_flip_is_of_the_whole_clip_and_one_of_each_crop():
    rng = np.random.default_rng(0)
    whole = [draw_looks(rng, 3, Augmentation(crop_flip=0)) for _ in range(50)]
    assert {tuple(look.flip for look in looks) for looks in whole} == {(True,) * 3, (False,) * 3}
    each = [draw_looks(rng, 2, Augmentation(flip=1, crop_flip=0.1)) for _ in range(400)]
    assert sum(look.flip for looks in each for look in looks) / 800 == pytest.approx(0.9, abs=0.04)


def test_nothing_changes_without_augmentation():
    pixels = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    (look,) = draw_looks(np.random.default_rng(1), 1, NO_AUGMENTATION)
    assert look == Look()
    assert torch.equal(apply_look(pixels, look), pixels)


def test_pixels_change_as_said():
    pixels = torch.tensor([[10, 200, 250], [20, 100, 255], [30, 0, 255]], dtype=torch.uint8)
    pixels = pixels[:, None, :]
    grey = [round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in pixels[:, 0].T.tolist()]
    assert to_grey(pixels).tolist() == [[grey]] * 3
    bright = apply_look(pixels, Look(brightness=1.2))
    assert bright[:, 0].tolist() == [[12, 240, 255], [24, 120, 255], [36, 0, 255]]
    assert torch.equal(apply_look(pixels, Look(flip=True)), pixels.flip(-1))
    assert flipped_box((0.1, 0.2, 0.5, 0.7), True) == pytest.approx((0.5, 0.2, 0.9, 0.7))
    assert flipped_box((0.1, 0.2, 0.5, 0.7), False) == (0.1, 0.2, 0.5, 0.7)


@pytest.mark.parametrize("wrong", [{"grey": -0.1}, {"flip": 1.5}, {"brightness": float("nan")}])
def test_shares_outside_their_range_are_refused(wrong):
    with pytest.raises(DataError, match="is from 0 to 1"):
        Augmentation(**wrong)
