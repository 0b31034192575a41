from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.errors import InputError
from stpn_vod.detections import Detections
from stpn_vod.link_config import LinkConfig
from stpn_vod.tracks import TrackState, link, start_tracks

Box = tuple[float, float, float]  # centre x, centre y, score; 20 pixels wide and high


def frame(boxes: Iterable[Box], labels: Sequence[int] | None = None) -> Detections:
    rows = torch.tensor(list(boxes), dtype=torch.float32).reshape(-1, 3)
    corners = torch.cat([rows[:, :2] - 10, rows[:, :2] + 10], dim=1)
    classes = torch.tensor(labels if labels is not None else [0] * len(rows), dtype=torch.int64)
    return Detections(corners, rows[:, 2], classes)


def run(
    frames: Iterable[Detections], config: LinkConfig | None = None, cuts: Sequence[int] = ()
) -> tuple[list[list[int]], TrackState]:
    state, numbers = start_tracks(config), []
    for t, found in enumerate(frames):
        ids, state = link(state, found, new_shot=t in cuts)
        numbers.append(ids.tolist())
    return numbers, state


def walk(length: int, speed: float = 3, score: float = 0.9) -> list[Detections]:
    """One object that goes to the right."""
    return [frame([(20 + speed * t, 20, score)]) for t in range(length)]


NONE = frame([])


def test_objects_that_cross_keep_their_numbers():
    """They pass through each other; overlap with the last box alone would swap them."""
    frames = [
        frame([(20 + 4 * t, 50, 0.9), (180 - 4 * t, 52, 0.8)]) for t in range(41)
    ]  # fmt: skip
    numbers, state = run(frames)
    assert numbers == [[1, 2]] * 41
    assert len(state) == 2


def test_an_object_that_hides_behind_another_comes_back_as_itself():
    frames = [
        frame([(20 + 4 * t, 50, 0.9)] + ([] if 15 <= t <= 26 else [(180 - 4 * t, 52, 0.8)]))
        for t in range(41)
    ]  # fmt: skip
    numbers, _ = run(frames)
    assert numbers[-1] == [1, 2]
    assert all(row[0] == 1 for row in numbers)
    assert {number for row in numbers for number in row} == {1, 2}


@pytest.mark.parametrize(("missing", "after"), [(0, 1), (5, 1), (6, 2)])
def test_a_track_ends_when_it_has_been_missing_for_longer_than_its_patience(missing, after):
    frames = walk(20)
    frames[10 : 10 + missing] = [NONE] * missing
    numbers, _ = run(frames, LinkConfig(patience=5))
    assert numbers[9] == [1]
    assert numbers[-1] == [after]


def test_only_strong_boxes_start_a_track():
    boxes = frame([(20, 20, 0.59), (60, 20, 0.61), (99, 20, 0.1)])
    ids, state = link(start_tracks(score=0.6), boxes)
    assert ids.tolist() == [-1, 1, -1]
    assert (len(state), state.next_id) == (1, 2)


def test_a_weak_box_continues_a_track():
    frames = walk(20)
    frames[10] = frame([(50, 20, 0.15), (90, 90, 0.4)])
    assert run(frames)[0][10] == [1, -1]
    assert run(frames)[0][-1] == [1]
    frames[10] = frame([(50, 20, 0.09)])
    assert run(frames)[0][10] == [-1]
    frames[10] = frame([(50, 20, 0.4)])
    assert run(frames, LinkConfig(low=1))[0][10] == [-1]


def test_a_weak_box_does_not_bring_back_a_lost_track():
    frames = walk(20)
    frames[10] = NONE
    frames[11] = frame([(53, 20, 0.4)])
    assert run(frames)[0][11] == [-1]
    assert run(frames)[0][12] == [1]


def test_a_strong_box_goes_first():
    """The weak one lies nearer to where the track is expected."""
    frames = walk(10)
    frames[9] = frame([(47, 20, 0.4), (53, 20, 0.9)])
    assert run(frames)[0][9] == [-1, 1]


def test_overlap_and_score_decide_together():
    frames = walk(10)
    frames[9] = frame([(50, 20, 0.55), (46, 20, 0.95)])
    numbers, _ = run(frames)
    assert numbers[9] == [2, 1]  # 0.74 x 0.55 < 0.95 x 0.95


def test_classes_are_kept_apart_unless_told_otherwise():
    frames = [*walk(5), frame([(35, 20, 0.9)], [1]), frame([(38, 20, 0.9)], [0])]
    assert run(frames)[0][-2:] == [[2], [1]]
    assert run(frames, LinkConfig(same_class=False))[0][-2:] == [[1], [1]]


def test_a_jump_starts_a_new_track():
    frames = [*walk(5), frame([(34 + 20, 20, 0.9)])]
    assert run(frames)[0][-1] == [2]
    frames[-1] = frame([(32 + 9, 20, 0.9)])  # overlap 0.5 with where it was expected, at 35
    assert run(frames)[0][-1] == [1]
    assert run(frames, LinkConfig(iou=0.6))[0][-1] == [2]


def test_a_cut_starts_new_tracks_unless_told_otherwise():
    frames = walk(10)
    assert run(frames, cuts=[5])[0] == [[1]] * 5 + [[2]] * 5
    assert run(frames, LinkConfig(cuts=False), cuts=[5])[0] == [[1]] * 10


def test_frames_without_boxes():
    numbers, state = run([NONE, NONE, *walk(1), NONE], LinkConfig(patience=0))
    assert numbers == [[], [], [1], []]
    assert len(state) == 0
    ids, _ = link(state, NONE)
    assert ids.dtype == torch.int64


def test_the_state_is_a_value():
    """Going back to an older state and on again gives the same, whatever happened in between."""
    frames = walk(6)
    state = start_tracks()
    for found in frames[:3]:
        _, state = link(state, found)
    first = link(state, frames[3])
    link(state, frame([(31, 21, 0.9), (60, 60, 0.9)]), new_shot=True)
    again = link(state, frames[3])
    assert torch.equal(first[0], again[0])
    for name in ("ids", "labels", "missed"):
        assert np.array_equal(getattr(first[1], name), getattr(again[1], name))
    assert np.array_equal(first[1].motion.boxes, again[1].motion.boxes)
    assert np.array_equal(first[1].motion.velocity, again[1].motion.velocity)


def crowd(seed: int, length: int) -> list[Detections]:
    """Boxes in a crowd: many overlaps, classes, weak ones, coordinates and scores that tie."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(length):
        n = int(rng.integers(0, 9))
        corner = rng.integers(0, 12, (n, 2))
        boxes = np.concatenate([corner, corner + rng.integers(6, 14, (n, 2))], axis=1)
        boxes, index = np.unique(boxes, axis=0, return_index=True)  # two equal boxes are one
        n = len(index)
        scores = rng.choice([0.05, 0.2, 0.4, 0.6, 0.6, 0.9], n)
        frames.append(
            Detections(
                torch.from_numpy(boxes).float().reshape(-1, 4),
                torch.from_numpy(scores).float(),
                torch.from_numpy(rng.integers(0, 2, n)),
            )
        )
    return frames


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_the_boxes_does_not_matter(seed: int):
    generator = torch.Generator().manual_seed(seed % 1000)
    frames = crowd(seed, 6)
    orders = [torch.randperm(len(found), generator=generator) for found in frames]
    mixed = [found.take(order) for found, order in zip(frames, orders, strict=True)]
    for plain, other, order in zip(run(frames)[0], run(mixed)[0], orders, strict=True):
        assert torch.equal(torch.tensor(plain)[order], torch.tensor(other))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_numbers_are_unique_new_and_given_to_every_strong_box(seed: int):
    state, born = start_tracks(LinkConfig(patience=1)), 0
    for found in crowd(seed, 8):
        before = state
        ids, state = link(state, found)
        there = ids[ids >= 0].tolist()
        assert len(set(there)) == len(there)
        assert bool((ids[found.scores > 0.5] > 0).all())
        assert not bool((ids[found.scores < 0.1] > 0).any())
        assert set(there) <= {*before.ids.tolist(), *range(born + 1, state.next_id)}
        assert state.ids.tolist() == sorted(set(state.ids.tolist()))
        born = state.next_id - 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(bad):
    box = frame([(20, 20, 0.9), (bad, 20, 0.9)])
    score = frame([(20, 20, 0.9), (20, 20, bad)])
    for found in (box, score):
        with pytest.raises(InputError, match="box 1 cannot be linked"):
            link(start_tracks(), found)


def grows(frames: int, patience: int) -> tuple[int, int]:
    """Bytes of everything made and kept during the last tenth of the frames, and most tracks at any
    time, where three objects stay and on every frame another one flickers up."""
    state, most = start_tracks(LinkConfig(patience=patience)), 0
    try:
        for t in range(frames):
            if t == frames - frames // 10:
                tracemalloc.start()
            guest = (float(np.cos(t * 2.4) * 5e3), float(np.sin(t * 2.4) * 5e3 + t % 977), 0.9)
            _, state = link(state, frame([(0, 0, 0.9), (50, 0, 0.9), (99, 0, 0.2), guest]))
            most = max(most, len(state))
        return tracemalloc.get_traced_memory()[0], most
    finally:
        tracemalloc.stop()


def test_memory_stays_flat_over_ten_thousand_frames():
    kept, tracks = grows(10_000, patience=10)
    assert tracks <= 2 + 11
    assert kept < 20_000


def test_the_measure_of_memory_sees_tracks_that_never_end():
    """Control."""
    kept, tracks = grows(600, patience=10_000)
    assert tracks > 400
    assert kept > 20_000


def test_half_precision_and_scores_with_a_gradient():
    found = frame([(20, 20, 0.9)])
    half = replace(found, scores=found.scores.half().requires_grad_(), boxes=found.boxes.half())
    ids, _ = link(start_tracks(), half)
    assert ids.tolist() == [1]
