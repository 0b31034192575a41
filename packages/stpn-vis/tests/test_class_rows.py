"""COCO's classes among those of video data sets."""

from __future__ import annotations

import pytest
import torch

from stpn_core.errors import InputError
from stpn_vis.class_rows import COCO, coco_rows, rows_from_coco

# ids that COCO leaves out of 1..90
UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
COCO_IDS = [i for i in range(1, 91) if i not in UNUSED]
YTVIS_2019 = (
    *("person", "giant_panda", "lizard", "parrot", "skateboard", "sedan", "ape"),
    *("dog", "snake", "monkey", "hand", "rabbit", "duck", "cat"),
    *("cow", "fish", "train", "horse", "turtle", "bear", "motorbike"),
    *("giraffe", "leopard", "fox", "deer", "owl", "surfboard", "airplane"),
    *("truck", "zebra", "tiger", "elephant", "snowboard", "boat", "shark"),
    *("mouse", "frog", "eagle", "earless_seal", "tennis_racket"),
)
# COCO id > YouTube-VIS 2019 id in the table of DVIS_Plus, of which bicycle and skis are left out
# here, as motorcycle and snowboard are the better starts for the same rows
TABLE = (
    "1>1 3>6 4>21 5>28 7>17 8>29 9>34 17>14 18>8 19>18 21>15 22>32 23>20 24>30 25>22 36>33 41>5 "
    "42>27 43>40"
)


def test_the_published_table():
    assert len(COCO) == len(COCO_IDS) == 80
    assert len(YTVIS_2019) == 40
    expected = {}
    for pair in TABLE.split():
        coco, video = map(int, pair.split(">"))
        expected[video - 1] = COCO_IDS.index(coco)
    assert coco_rows(YTVIS_2019) == expected


def test_other_spellings():
    assert coco_rows(["Giant_panda", "Motorcycle", "Vehical", "Poultry", "flying_disc"]) == {
        1: COCO.index("motorcycle"),
        2: COCO.index("car"),
        3: COCO.index("bird"),
        4: COCO.index("frisbee"),
    }


def test_rows_are_copied_and_the_others_stay():
    layer, start = torch.randn(81, 4), torch.randn(4, 4)
    kept = start.clone()
    found = rows_from_coco(layer, start, ["dog", "owl", "person"])
    for row, expected in enumerate((layer[16], kept[1], layer[0], layer[80])):
        assert torch.equal(found[row], expected)
    assert torch.equal(start, kept)
    assert torch.equal(rows_from_coco(layer, start, ["a", "b", "c"])[:3], kept[:3])
    with pytest.raises(InputError, match="2 class names for 3 classes"):
        rows_from_coco(layer, start, ["dog", "owl"])
    with pytest.raises(InputError, match="has 41 rows"):
        rows_from_coco(layer[:41], start, ["dog", "owl", "person"])
