from __future__ import annotations

import numpy as np
import pytest

from stpn_vod.vid_ap.curve import Verdicts, area_under, average_precisions


def area(recall, precision) -> float:
    return area_under(np.array(recall, float), np.array(precision, float))


def test_area_under_the_envelope():
    assert area([], []) == 0
    assert area([1], [1]) == 1
    assert area([0.5, 0.5, 1], [1, 0.5, 2 / 3]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert area([0, 0.5], [0, 0.5]) == 0.25  # recall stops at one half
    assert area([0.5, 1], [0.2, 0.8]) == pytest.approx(0.8)  # later precision lifts earlier


def test_every_class_and_group_by_itself():
    verdicts = Verdicts(
        labels=np.array([0, 0, 1, 2]),
        scores=np.array([0.1, 0.9, 0.5, 0.5]),
        hits=np.array([[True, False, True, False], [True, False, False, False]]),
        misses=np.array([[0, 1, 0, 1.0], [0, 0, 0.0, 0]]),
        positives=np.array([[1, 2, 0, 3], [1, 0, 0, 0]]),
    )
    table = average_precisions(
        verdicts, lambda s: np.argsort(-s), lambda t, f: t / np.maximum(t + f, 1e-9)
    )
    assert table.tolist() == [[0.5, 0.5, -1, 0], [1, -1, -1, -1]]
