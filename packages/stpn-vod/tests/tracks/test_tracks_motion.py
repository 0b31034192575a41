from __future__ import annotations

import numpy as np
import pytest

from stpn_vod.tracks import motion
from stpn_vod.tracks.motion import Motion, advance, at_rest, correct, joined

BOX = np.array([[10.0, 20.0, 30.0, 60.0]])  # centre 20, 40, sides 20, 40
SEEN = np.array([False])
HERE = np.array([0])


def test_an_object_seen_once_stays():
    later = advance(at_rest(BOX), SEEN)
    assert np.array_equal(later.corners(), BOX)


def test_constant_velocity_is_learnt_and_carried_on():
    now = at_rest(BOX)
    for t in range(1, 20):
        now = correct(advance(now, SEEN), HERE, BOX + np.array([3 * t, -t, 3 * t, -t]))
    assert now.velocity[0] == pytest.approx([3, -1, 0, 0], abs=0.02)
    for _ in range(5):
        now = advance(now, ~SEEN)
    assert now.corners()[0] == pytest.approx(BOX[0] + [72, -24, 72, -24], abs=0.2)


def test_growth_stops_while_an_object_is_missing():
    now = at_rest(BOX)
    for t in range(1, 20):
        now = correct(advance(now, SEEN), HERE, BOX + np.array([-t, -t, t, t]))
    seen, missing = advance(now, SEEN), advance(now, ~SEEN)
    assert seen.boxes[0, 2] - now.boxes[0, 2] == pytest.approx(2, abs=0.05)
    assert np.array_equal(missing.boxes[:, 2:], now.boxes[:, 2:])


def test_it_is_the_kalman_filter_of_one_number(monkeypatch: pytest.MonkeyPatch):
    """Against the matrix form, for one coordinate, with noise in pixels of a side of 20."""
    rng = np.random.default_rng(0)
    step, see = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    noise = (motion._ACCELERATION * 20) ** 2 * np.array([[1 / 4, 1 / 2], [1 / 2, 1.0]])
    error = (motion._BOX * 20) ** 2
    mean = np.array([20.0, 0.0])
    cover = np.diag([error, (motion._FIRST_SPEED * 20) ** 2])
    now = at_rest(BOX)
    for t in range(1, 15):
        mean, cover = step @ mean, step @ cover @ step.T + noise
        now = advance(now, SEEN)
        if t % 4:
            place = 20 + 2 * t + rng.normal()
            gain = cover @ see.T / (cover[0, 0] + error)
            mean = mean + gain[:, 0] * (place - mean[0])
            cover = (np.eye(2) - gain @ see) @ cover
            now = correct(now, HERE, np.array([[place - 10, 20, place + 10, 60]]))
        assert now.boxes[0, 0] == pytest.approx(mean[0])
        assert now.velocity[0, 0] == pytest.approx(mean[1])
        assert now.spread[0] * 20**2 == pytest.approx([cover[0, 0], cover[0, 1], cover[1, 1]])


def test_only_who_was_seen_is_corrected_and_nothing_changes_in_place():
    both = joined(at_rest(BOX), at_rest(BOX + 100))
    before = both.boxes.copy(), both.velocity.copy(), both.spread.copy()
    after = correct(both, np.array([1]), BOX + 110)
    assert np.array_equal(after.boxes[0], both.boxes[0])
    assert after.boxes[1, 0] > both.boxes[1, 0]
    for old, new in zip(before, (both.boxes, both.velocity, both.spread), strict=True):
        assert np.array_equal(old, new)
    chosen = after.take(np.array([False, True]))
    assert isinstance(chosen, Motion)
    assert np.array_equal(chosen.boxes, after.boxes[1:])
    assert len(joined(at_rest(BOX[:0]), chosen)) == 1
