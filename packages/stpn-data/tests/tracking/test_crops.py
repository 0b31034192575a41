"""Crops: the original's pixels."""

from __future__ import annotations

import pytest
import torch

from stpn_data.errors import DataError
from stpn_data.tracking.crops import crop_side, cut


def test_crops_are_the_original_s(golden):
    tensors, facts = golden("vot/crops")
    worst, raw_seen = 0, 0
    for row in facts["rows"]:
        name, box = row["case"], tuple(row["box"])
        image = tensors[f"in.image{row['image']}"].permute(2, 0, 1).contiguous()
        assert crop_side(box, row["factor"]) == row["crop_size"]
        found = cut(image, box, row["factor"], row["out_size"])
        assert found.scale == pytest.approx(row["resize_factor"], abs=1e-12)
        wanted = tensors[f"out.crop{name}"].permute(2, 0, 1)
        worst = max(worst, int((found.pixels.int() - wanted.int()).abs().max()))
        assert torch.equal(found.padding, tensors[f"out.mask{name}"].bool()), name
        if f"out.raw{name}" in tensors:  # before resizing: one pixel for one pixel
            raw_seen += 1
            raw = cut(image, box, row["factor"], row["crop_size"])
            assert torch.equal(raw.pixels, tensors[f"out.raw{name}"].permute(2, 0, 1))
            assert torch.equal(raw.padding, tensors[f"out.raw_mask{name}"].bool())
    assert raw_seen > 5
    assert worst == 0


def test_the_last_column_counts_as_outside_only_for_parity():
    image = torch.full((3, 40, 40), 200, dtype=torch.uint8)
    box = (20.0, 10.0, 20.0, 20.0)  # the crop ends at the image's right edge
    for parity, last in ((True, 0), (False, 200)):
        found = cut(image, box, 1.0, 20, parity=parity)
        assert int(found.pixels[0, 5, -1]) == last
        assert bool(found.padding[5, -1]) == parity


def test_a_box_beside_the_image_gives_black():
    image = torch.full((3, 30, 30), 99, dtype=torch.uint8)
    found = cut(image, (-500.0, 3.0, 10.0, 10.0), 2.0, 16)
    assert found.padding.all()
    assert not found.pixels.any()


def test_a_huge_crop_costs_what_it_shows():
    image = torch.full((3, 30, 30), 99, dtype=torch.uint8)
    found = cut(image, (-5e5, -5e5, 1e6, 1e6), 5.0, 16)  # 75 terabytes if it were cut first
    assert found.pixels.shape == (3, 16, 16)


@pytest.mark.parametrize("box", [(1, 1, 0, 5), (1, 1, -4, 5), (float("nan"), 1, 4, 5)])
def test_a_box_without_area_is_refused(box):
    with pytest.raises(DataError, match="no area"):
        cut(torch.zeros(3, 9, 9, dtype=torch.uint8), box, 2.0, 16)


def test_an_image_of_another_kind_is_refused():
    with pytest.raises(DataError, match="uint8"):
        cut(torch.zeros(3, 9, 9), (1, 1, 4, 5), 2.0, 16)
