from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_vod.vid_ap.pairs import frame_blocks, pairs_of

keys = st.lists(st.integers(0, 4), max_size=12).map(lambda rows: np.array(rows, np.int64))


@settings(max_examples=200, deadline=None)
@given(keys, keys)
def test_all_pairs_with_equal_keys(found, truth):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 9, (24, 2))
    boxes = np.concatenate([corners, corners + 5], 1)
    a, b = boxes[: len(found)], boxes[12 : 12 + len(truth)]
    pairs = pairs_of(found, a, truth, b, 1.0)
    want = [(i, j) for i, p in enumerate(found) for j, q in enumerate(truth) if p == q]
    assert list(zip(pairs.found.tolist(), pairs.truth.tolist(), strict=True)) == want
    assert pairs.counts.tolist() == [sum(truth == p) for p in found]
    assert pairs.iou.shape == (len(want),)


@settings(max_examples=200, deadline=None)
@given(keys, keys, st.integers(1, 8))
def test_blocks_cut_between_frames_and_miss_nothing(found, truth, size):
    found, truth = np.sort(found), np.sort(truth)
    rows, held, frames = [], [], []
    for a, b in frame_blocks(found, truth, 5, size):
        rows += range(a.start, a.stop)
        held += range(b.start, b.stop)
        frames.append({*found[a].tolist(), *truth[b].tolist()})
    assert rows == list(range(len(found)))
    assert held == list(range(len(truth)))
    assert sum(map(len, frames)) == len(set().union(*frames))


def test_blocks_stay_small():
    frames = np.repeat(np.arange(100), 10)
    blocks = list(frame_blocks(frames, frames, 100, 1000))
    assert len(blocks) == 12
    assert max(a.stop - a.start for a, _ in blocks) <= 100


def test_no_frames_at_all():
    none = np.zeros(0, np.int64)
    assert all(a == b == slice(0, 0) for a, b in frame_blocks(none, none, 0))
