"""Jitter and ground truth in a crop: the original's numbers."""

from __future__ import annotations

import json

import pytest

from stpn_data.tracking.crops import crop_side
from stpn_data.tracking.jitter import box_in_crop, jittered_box


def test_training_boxes_are_the_original_s(shared):
    table = json.loads((shared / "golden/vot/box_geometry.json").read_text())
    for row in table["train_crop"]:
        truth = tuple(row["gt_xywh"])
        around = jittered_box(
            truth, row["scale_jitter"], row["center_jitter"], row["normal"], row["uniform"]
        )
        assert around == pytest.approx(row["jittered_xywh"], abs=2e-3, rel=1e-5)
        assert crop_side(around, row["factor"]) == row["crop_size"]
        scale = row["out_size"] / row["crop_size"]
        assert scale == pytest.approx(row["resize_factor"], abs=1e-9)
        found = box_in_crop(truth, around, row["out_size"], scale)
        assert found == pytest.approx(row["gt_in_crop_xywh_normalised"], abs=1e-4)
