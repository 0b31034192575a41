"""Which frames make up a clip: the rules of the original, to the frame."""

from __future__ import annotations

import numpy as np
import pytest

from stpn_data.errors import DataError
from stpn_data.tracking.sampling import causal, support_before, trident

ALL = np.arange(30)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_causal_clips_keep_to_their_windows():
    source = rng()
    drawn = [causal(source, ALL, 30, gap=4) for _ in range(3000)]
    assert {clip.template for clip in drawn} == set(range(1, 29))
    assert {clip.template - t for clip in drawn for t in clip.online} == {1, 2, 3, 4}
    assert {clip.search - clip.template for clip in drawn} == {1, 2, 3}


def test_causal_windows_grow_until_something_is_visible():
    visible = np.array([0, 40, 90])  # windows of 50 frames each way: 10 + 8 * 5
    clips = {causal(rng(seed), visible, 91, gap=10) for seed in range(50)}
    assert [(c.online, c.template, c.search) for c in clips] == [((0,), 40, 90)]


def test_causal_clips_with_other_numbers_of_online_templates():
    source = rng()
    for online in (0, 3):
        drawn = [causal(source, ALL, 30, online=online, gap=5) for _ in range(500)]
        assert {len(clip.online) for clip in drawn} == {online}
        assert {clip.template for clip in drawn} == set(range(max(online, 0), 29))
    assert len({clip.online for clip in drawn}) > 100  # drawn one by one


def test_causal_needs_frames_enough():
    with pytest.raises(DataError, match="as many in which the target is visible, not 2"):
        causal(rng(), np.array([3, 9]), 30)
    assert causal(rng(), np.array([3, 4, 9]), 30).template == 4  # the control


def test_a_still_image_is_all_frames_at_once():
    still = np.array([0])
    assert causal(rng(), still, 1, online=2) == trident(rng(), still, still, online=2)


def test_trident_clips_keep_to_their_windows():
    source, hidden = rng(), 7
    visible = np.delete(ALL, hidden)
    drawn = [trident(source, visible, ALL, gap=3) for _ in range(6000)]
    later = [clip for clip in drawn if clip.template >= clip.search]
    earlier = [clip for clip in drawn if clip.template < clip.search]
    assert {t - clip.search for clip in later for t in clip.online} == {0, 1, 2}
    assert {clip.search - t for clip in earlier for t in clip.online} == {1, 2, 3}
    assert {clip.search for clip in drawn} == set(visible)
    assert {clip.template for clip in drawn} == set(visible)
    assert hidden in {t for clip in drawn for t in clip.online}


def test_trident_draws_again_where_there_is_no_online_template():
    visible = np.array([0, 100])
    drawn = {trident(rng(seed), visible, visible, gap=10) for seed in range(60)}
    assert {(clip.template, clip.search) for clip in drawn} == {(0, 0), (100, 100), (100, 0)}
    with pytest.raises(DataError, match="needs a frame"):
        trident(rng(), visible[:0], visible)


def test_support_comes_from_the_frames_before():
    source = rng()
    drawn = [support_before(source, ALL, 20, count=2, reach=6) for _ in range(800)]
    assert {t for support in drawn for t in support} == set(range(14, 20))
    assert all(a < b for a, b in drawn)


@pytest.mark.parametrize(
    ("search", "count", "expected"),
    [
        (25, 2, [{3}, {20}]),  # one within reach, one before
        (25, 4, [{3}, {20}, {25}, {25}]),  # then the search frame itself
        (20, 1, [{3}]),
        (3, 2, [{3}, {3}]),
        (2, 2, []),  # it does not show the target, and nothing came before
        (22, 3, [{3}, {20}]),
    ],
)
def test_support_falls_back(search, count, expected):
    visible = np.array([3, 20, 25])
    drawn = [support_before(rng(s), visible, search, count=count, reach=10) for s in range(20)]
    assert [{*slot} for slot in zip(*drawn, strict=True)] == expected


def test_support_never_looks_ahead():
    for search in range(30):
        drawn = support_before(rng(search), ALL, search, count=3, reach=56)
        assert max(drawn) <= search
        assert len(drawn) == 3
        changed = np.concatenate([ALL[: search + 1], [99, 100]])  # other frames afterwards
        assert drawn == support_before(rng(search), changed, search, count=3, reach=56)
