"""What a clip is made of: data sets, targets, negatives and support."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from stpn_data.errors import DataError
from stpn_data.index import ABSENT
from stpn_data.tracking import Sampling, SupportSampling, TargetRule, Targets, find_targets
from stpn_data.tracking.draw import TargetPool, check_sampling, draw_clip, draw_support

from .columns import index_of, seen

SCORES = Sampling("trident")


def targets(*lengths: int, hidden: tuple[int, ...] = ()) -> Targets:
    """Videos of these lengths with one target each, absent in `hidden`."""
    videos = [
        (length, [seen(t, flags=ABSENT if t in hidden else 0) for t in range(length)])
        for length in lengths
    ]
    return find_targets(index_of(*videos), TargetRule(min_frames=1, min_visible=1))


def draws(pool: TargetPool, sampling: Sampling, count: int) -> list:
    return [draw_clip(pool, sampling, np.random.default_rng(seed)) for seed in range(count)]


def test_data_sets_are_drawn_by_weight_and_targets_alike():
    pool = TargetPool([targets(9), targets(9, 9, 9)], (3, 1))
    drawn = Counter((draw.data, draw.target) for draw in draws(pool, Sampling(), 3000))
    assert drawn[0, 0] / 3000 == pytest.approx(0.75, abs=0.03)
    assert all(drawn[1, n] / 3000 == pytest.approx(1 / 12, abs=0.02) for n in range(3))
    alike = TargetPool([targets(9), targets(9, 9, 9)])
    assert alike.weights.tolist() == [0.5, 0.5]


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, -1), (1, float("nan")), (1, 1, 1)])
def test_weights_that_do_not_fit(weights):
    with pytest.raises(DataError, match="weights"):
        TargetPool([targets(9), targets(9)], weights)


def test_a_training_clip_of_boxes_shows_the_target_everywhere():
    pool = TargetPool([targets(30, 30, hidden=(3, 4, 20))])
    for draw in draws(pool, Sampling(online=2), 100):
        first = pool.sets[0].first_frame(draw.target)
        for place in (draw.template, *draw.online, draw.search):
            assert place.frame - first not in (3, 4, 20)
            assert place.box == (place.frame - first, 0.0, 10.0, 20.0)  # as `seen` has it
        assert max(place.frame for place in draw.online) < draw.template.frame < draw.search.frame
        assert draw.positive
        assert draw.support_of == (0, draw.target, draw.search.frame - first)


def test_half_of_the_score_clips_do_not_show_the_target():
    pool = TargetPool([targets(30, 30, hidden=(3, 4, 20))])
    drawn = draws(pool, SCORES, 1000)
    negatives = [draw for draw in drawn if not draw.positive]
    assert len(negatives) / 1000 == pytest.approx(0.5, abs=0.05)
    for draw in negatives:  # a frame of the video without the target, and a box in its middle
        assert draw.search.box is None
        assert draw.search.frame - pool.sets[0].first_frame(draw.target) in (3, 4, 20)
    assert not any(draw.positive for draw in draws(pool, Sampling("trident", negatives=1), 50))
    assert all(draw.positive for draw in draws(pool, Sampling("trident", negatives=0), 50))


def test_other_videos_are_searched_where_a_target_is_always_there():
    pool = TargetPool([targets(30, 30), targets(30)])
    negatives = [draw for draw in draws(pool, SCORES, 300) if not draw.positive]
    for draw in negatives:
        data, video = draw.search.data, draw.search.frame // 30
        assert (data, video) != (draw.data, draw.target)
        assert draw.search.box is not None
        assert draw.support_of[:2] == (draw.data, draw.target)  # a tracker has the target's past
    assert {draw.search.data for draw in negatives} == {0, 1}


def test_negatives_that_cannot_be_are_refused_at_once():
    with pytest.raises(DataError, match="made up: search frames without the target are asked for"):
        check_sampling(TargetPool([targets(30)]), SCORES)
    check_sampling(TargetPool([targets(30)]), Sampling("trident", negatives=0))
    check_sampling(TargetPool([targets(30, hidden=(4,))]), SCORES)
    check_sampling(TargetPool([targets(30, 30)]), SCORES)
    check_sampling(TargetPool([targets(30)]), Sampling("causal"))


def test_targets_seen_too_rarely_are_refused_at_once():
    pool = TargetPool([targets(30, 4)])
    with pytest.raises(
        DataError, match="v1#0 is visible in 4 frames, as 1 targets are in fewer th"
    ):
        check_sampling(pool, Sampling(online=3))
    check_sampling(pool, Sampling(online=2))
    check_sampling(TargetPool([targets(30, 1)]), Sampling(online=2))  # a still image


def test_support_is_swapped_and_dropped_as_often_as_asked():
    pool = TargetPool([targets(30, 30)])
    settings = SupportSampling(swap=0.2, dropout=0.3, frames=2, stride=4)
    (draw,) = draws(pool, Sampling(), 1)
    kinds = Counter()
    for seed in range(3000):
        places = draw_support(pool, draw, settings, np.random.default_rng(seed))
        videos = {place.frame // 30 for place in places}
        kinds["none" if not videos else "own" if videos == {draw.target} else "other"] += 1
        assert len(places) in (0, 2)
        if videos == {draw.target}:
            assert all(draw.search.frame - 8 <= p.frame < draw.search.frame for p in places), (
                "two of the eight frames before"
            )
    assert kinds["none"] / 3000 == pytest.approx(0.3, abs=0.03)
    assert kinds["other"] / 3000 == pytest.approx(0.2, abs=0.03)


def test_no_other_video_no_swap():
    pool = TargetPool([targets(30)])
    (draw,) = draws(pool, Sampling(), 1)
    places = draw_support(pool, draw, SupportSampling(swap=1), np.random.default_rng(0))
    assert len(places) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Sampling("stark"),
        lambda: Sampling(online=-1),
        lambda: Sampling(gap=0),
        lambda: Sampling(negatives=1.1),
        lambda: SupportSampling(count=-1),
        lambda: SupportSampling(stride=0),
        lambda: SupportSampling(swap=0.6, dropout=0.6),
        lambda: SupportSampling(dropout=-0.1),
    ],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(DataError):
        wrong()
