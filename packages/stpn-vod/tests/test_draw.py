from __future__ import annotations

import itertools

import torch

from stpn_vod.detections import Detections
from stpn_vod.draw import class_colour, draw_boxes, draw_detections


def test_draws_on_a_copy_in_the_colour_of_the_class():
    image = torch.zeros(3, 80, 120, dtype=torch.uint8)
    found = Detections(torch.tensor([[20.0, 30, 90, 70]]), torch.tensor([0.9]), torch.tensor([1]))
    drawn = draw_detections(image, found, ("cat", "dog"))
    assert image.sum() == 0
    assert drawn.dtype == torch.uint8
    assert drawn.shape == image.shape
    assert tuple(drawn[:, 70, 60].tolist()) == class_colour(1)
    assert drawn[:, 55, 60].sum() == 0  # inside stays visible


def test_boxes_outside_inverted_or_empty_are_harmless():
    image = torch.full((3, 20, 30), 7, dtype=torch.uint8)
    colour = (255, 0, 0)
    assert torch.equal(draw_boxes(image, [((10, 10, 5, 5), "inverted", colour)]), image)
    draw_boxes(image, [((-50, -50, 500, 500), "far", colour), ((3, 3, 3, 3), "", colour)])
    empty = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    assert torch.equal(draw_detections(image, empty, ("a",)), image)


def test_neighbouring_classes_differ_and_colours_stay():
    colours = [class_colour(i) for i in range(30)]
    assert len(set(colours)) == 30
    assert all(
        sum(abs(x - y) for x, y in zip(a, b, strict=True)) > 100
        for a, b in itertools.pairwise(colours)
    )


def test_with_tracks_the_colour_is_that_of_the_number():
    image = torch.zeros(3, 80, 120, dtype=torch.uint8)
    found = Detections(torch.tensor([[20.0, 30, 90, 70]]), torch.tensor([0.9]), torch.tensor([0]))
    for number in (1, 2, 977):
        drawn = draw_detections(image, found, ("cat",), torch.tensor([number]))
        assert tuple(drawn[:, 70, 60].tolist()) == class_colour(number)
