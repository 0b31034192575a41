from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_vod.vid_ap.pairs import Pairs
from stpn_vod.vid_ap.verdict import match_greedily, miss_weights

wishes = st.lists(
    st.lists(st.integers(0, 5), unique=True, max_size=6), max_size=15
)  # of each detection, best first


@settings(max_examples=300, deadline=None)
@given(wishes)
def test_equals_one_detection_at_a_time(wishes):
    free, want = set(range(6)), []
    for wish in wishes:
        choice = next((t for t in wish if t in free), -1)
        free.discard(choice)
        want.append(choice)
    found = np.repeat(np.arange(len(wishes)), [len(wish) for wish in wishes]).astype(np.int64)
    truth = np.array([t for wish in wishes for t in wish], np.int64)
    assert match_greedily(found, truth, len(wishes), 6).tolist() == want


def test_a_queue_for_one_annotation():
    taken = match_greedily(np.arange(500), np.zeros(500, np.int64), 500, 1)
    assert taken.tolist() == [0, *[-1] * 499]


def weigh(ious: list[float], ignored: list[bool], empty: float = 0.3) -> float:
    n = len(ious)
    pairs = Pairs(np.zeros(n, np.int64), np.arange(n), np.array(ious), np.array([n]))
    return float(miss_weights(pairs, np.array(ignored, np.bool_), empty)[0])


def test_a_miss_weighs_by_what_it_overlaps_most():
    assert weigh([0.4, 0.3], [False, True]) == 1
    assert weigh([0.3, 0.4], [False, True]) == 0
    assert weigh([0.0], [False]) == 1
    assert weigh([0.0], [True]) == 0
    assert weigh([0.2, 0.2], [False, True]) == 0.5
    assert weigh([0.0, 0.0, 0.0, 0.0], [False, True, True, True]) == 0.75
    assert weigh([], []) == 0.3


def test_weights_of_many_stay_apart():
    pairs = Pairs(
        np.array([1, 1, 3]), np.array([0, 1, 1]), np.array([0.1, 0.2, 0.9]), np.array([0, 2, 0, 1])
    )
    weights = miss_weights(pairs, np.array([False, True]), 0.25)
    assert weights.tolist() == [0.25, 0.0, 0.25, 0.0]
