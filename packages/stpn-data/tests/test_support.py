from __future__ import annotations

import inspect
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_data.errors import DataError
from stpn_data.support import (
    POLICIES,
    OnlinePolicy,
    UniformPolicy,
    WindowPolicy,
    bilateral,
    counted_policy,
    online,
    parse_policy,
    uniform,
    window,
)

times = st.integers(0, 500)
counts = st.integers(1, 5000)
strides = st.integers(1, 64)


@settings(max_examples=500, deadline=None)
@given(length=times, count=counts)
def test_uniform_spans_the_video(length: int, count: int) -> None:
    found = uniform(length, count)
    assert len(found) == (count if length else 0)
    assert found == sorted(found)
    assert all(0 <= i < length for i in found)
    if length and count > 1:
        assert (found[0], found[-1]) == (0, length - 1)
        if length >= count:
            assert len(set(found)) == count


def test_uniform_is_the_released_spacing() -> None:
    assert uniform(100, 14) == [0, 8, 15, 23, 30, 38, 46, 53, 61, 69, 76, 84, 91, 99]
    assert uniform(2, 5) == [0, 0, 0, 1, 1]  # halves round to even, as Python's round does
    assert uniform(9, 1) == [0]


@settings(max_examples=500, deadline=None)
@given(t=times, extra=times, per_side=counts, stride=strides, exact=st.booleans())
def test_window_lies_around_t_in_range(
    t: int, extra: int, per_side: int, stride: int, exact: bool
) -> None:
    length = t + 1 + extra
    found = window(t, length, min(per_side, 600), stride, exact)
    assert found == sorted(set(found))
    assert all(0 <= i < length and i != t for i in found)
    before, after = [i for i in found if i < t], [i for i in found if i > t]
    assert max(len(before), len(after)) <= per_side
    offset = t % stride if exact else 0
    assert all(i % stride == offset for i in found)
    # nothing nearer was left out
    lattice = [i for i in range(length) if i % stride == offset and i != t]
    assert before == [i for i in lattice if i < t][-per_side:]
    assert after == [i for i in lattice if i > t][:per_side]


@settings(max_examples=500, deadline=None)
@given(t=times, count=counts, stride=strides, exact=st.booleans())
def test_online_never_looks_ahead(t: int, count: int, stride: int, exact: bool) -> None:
    found = online(t, min(count, 600), stride, exact)
    assert all(0 <= i < t for i in found)
    assert found == [i for i in window(t, None, min(count, 600), stride, exact) if i < t]


def test_the_paper_window() -> None:
    assert window(64, 200, exact=True) == [8, 16, 24, 32, 40, 48, 56, *range(72, 121, 8)]
    assert window(64, 200) == window(64, 200, exact=True)
    assert window(66, 200, 2) == [56, 64, 72, 80]
    assert window(66, 200, 2, exact=True) == [50, 58, 74, 82]
    assert online(0) == []
    assert online(1, 3) == [0]


@settings(max_examples=1000, deadline=None)
@given(
    seed=st.integers(0, 2**63),
    t=times,
    extra=times,
    reach=st.integers(1, 20),
    half=st.integers(0, 8),
)
def test_bilateral_fills_both_sides(seed: int, t: int, extra: int, reach: int, half: int) -> None:
    length, count = t + 1 + extra, 2 * half
    found = bilateral(np.random.default_rng(seed), t, length, reach, count)
    assert found == bilateral(np.random.default_rng(seed), t, length, reach, count)
    assert len(found) == count
    assert all(0 <= i < length and abs(i - t) <= reach for i in found)
    before, after = min(reach, t, half), min(reach, extra, half)
    drawn = found[: before + after]
    assert len(set(drawn)) == len(drawn)
    assert [i < t for i in drawn] == [True] * before + [False] * after
    assert set(found[before + after :]) <= {drawn[0] if drawn else t}
    assert (t in found) == (length == 1 and count > 0)


def test_bilateral_reaches_every_frame_around() -> None:
    rng = np.random.default_rng(0)
    seen = {i for _ in range(400) for i in bilateral(rng, 20, 100)}
    assert seen == set(range(11, 30)) - {20}
    with pytest.raises(DataError, match="even"):
        bilateral(rng, 3, 10, count=3)


@pytest.mark.parametrize("exact", [False, True])
def test_policies_keep_their_word(exact: bool) -> None:
    for policy in (WindowPolicy(3, 4, exact), OnlinePolicy(5, 4, exact)):
        for t in range(50):
            found = policy.indices(t, 50)
            assert all(policy.is_support(i) for i in found)
            assert all(i <= t + policy.lookahead for i in policy.indices(t, None))
            assert found == [i for i in policy.indices(t, None) if i < 50]
    lattice = sum(WindowPolicy(stride=8).is_support(t) for t in range(800))
    assert lattice == 100  # one un-prompted pass in S frames


def test_uniform_policy_is_the_same_for_every_frame() -> None:
    policy = UniformPolicy()
    assert policy.indices(0, 300) == policy.indices(299, 300) == uniform(300, 14)
    assert policy.lookahead == sys.maxsize
    with pytest.raises(DataError, match="length"):
        policy.indices(0, None)


def test_parse_policy() -> None:
    assert parse_policy("window", per_side=3, stride=None) == WindowPolicy(3)
    assert parse_policy("online", count=4, exact=True) == OnlinePolicy(4, exact=True)
    with pytest.raises(DataError, match="uniform, window, online"):
        parse_policy("windw")
    with pytest.raises(DataError, match="no setting 'stride'; it has: count"):
        parse_policy("uniform", stride=3)
    for name, policy in POLICIES.items():
        first = next(iter(inspect.signature(policy).parameters))
        with pytest.raises(DataError, match=f"{first} must be 1 or more, not 0"):
            parse_policy(name, **{first: 0})


def test_a_policy_by_its_name_and_all_its_frames() -> None:
    assert counted_policy("uniform", 5, 8) == UniformPolicy(5)
    assert counted_policy("window", 14, 8) == WindowPolicy(7, 8)
    assert counted_policy("window", 1, 2) == WindowPolicy(1, 2)
    assert counted_policy("online", 3, 2) == OnlinePolicy(3, 2)
    with pytest.raises(DataError, match="uniform, window, online"):
        counted_policy("all", 1, 1)
