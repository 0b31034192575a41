from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.errors import InputError
from stpn_data.index import Video, VideoIndex, build_index, concat
from stpn_vod.motion import EVERY_SPEED, SPEEDS, has_tracks, motion_iou


def index_of(*videos: list[list[tuple]]) -> VideoIndex:
    """Videos of frames of (track, x1, y1, x2, y2)."""
    made = []
    for v, frames in enumerate(videos):
        rows = [row for frame in frames for row in frame]
        made.append(
            Video(
                name=f"v{v}",
                folder="/nowhere",
                files=[f"{t}.jpg" for t in range(len(frames))],
                box_counts=np.array([len(frame) for frame in frames], np.int64),
                boxes=np.array([row[1:] for row in rows], np.float32).reshape(-1, 4),
                labels=np.zeros(len(rows), np.int16),
                tracks=np.array([row[0] for row in rows], np.int32),
            )
        )
    return build_index(Path("/nowhere"), ("thing",), "test", made)


def slowly(*videos: list[list[tuple]], reach: int = 10) -> list[float]:
    """Every box against every other box of its track."""
    values = []
    for frames in videos:
        for t, frame in enumerate(frames):
            for track, *a in frame:
                overlaps = []
                for k in range(max(0, t - reach), min(len(frames), t + reach + 1)):
                    for other, *b in frames[k] if k != t else []:
                        if other == track:
                            w = min(a[2], b[2]) - max(a[0], b[0]) + 1
                            h = min(a[3], b[3]) - max(a[1], b[1]) + 1
                            both = max(w, 0) * max(h, 0)
                            sizes = ((c[2] - c[0] + 1) * (c[3] - c[1] + 1) for c in (a, b))
                            overlaps.append(both / (sum(sizes) - both))
                values.append((sum(overlaps) + 1e-10) / (len(overlaps) + 1e-10))
    return values


row = st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9)).map(
    lambda r: (r[0], r[1], r[2], r[1] + 6, r[2] + 4)
)
video = st.lists(st.lists(row, max_size=3), max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(video, max_size=3), st.integers(0, 12))
def test_equals_the_definition(videos, reach):
    """Also with gaps, empty videos, and a track that has several boxes in a frame."""
    motion = motion_iou(index_of(*videos), reach)
    np.testing.assert_allclose(motion, slowly(*videos, reach=reach), rtol=1e-9, atol=0)
    assert (motion <= 1).all()


def test_speeds_of_known_objects():
    still = [[(0, 10, 10, 29, 29)] for _ in range(30)]
    assert (motion_iou(index_of(still)) == 1.0).all()
    flying = [[(0, 100 * t, 10, 100 * t + 9, 29)] for t in range(30)]
    motion = motion_iou(index_of(flying))
    assert motion[0] == pytest.approx(1e-10 / 10, rel=1e-6)  # ten frames after, none before
    assert motion[15] == pytest.approx(1e-10 / 20, rel=1e-6)
    assert motion_iou(index_of([[(0, 1, 1, 5, 5)]]))[0] == 1.0  # alone: slow


def test_only_ten_frames_of_the_same_video_and_track_count():
    here, there = (0, 0, 0, 9, 9), (0, 50, 50, 59, 59)
    frames = [[here], *[[]] * 9, [there]]
    assert motion_iou(index_of(frames))[0] < 1e-9  # ten frames apart
    assert motion_iou(index_of([*frames[:-1], [], [there]]))[0] == 1.0  # eleven
    assert (motion_iou(index_of([[here]], [[there]])) == 1.0).all()
    assert (motion_iou(index_of([[here], [(1, *there[1:])]])) == 1.0).all()


def test_values_stay_with_their_boxes_when_data_sets_are_joined():
    a = index_of([[(3, 0, 0, 9, 9), (1, 5, 5, 9, 9)], [(1, 6, 5, 9, 9), (3, 2, 0, 11, 9)]])
    b = index_of([[(3, 0, 0, 99, 9)], [(3, 1, 0, 100, 9)]])
    together = motion_iou(concat([a, b]))
    np.testing.assert_array_equal(together, np.concatenate([motion_iou(a), motion_iou(b)]))
    assert len(set(together.tolist())) == 3


def test_data_without_tracks_is_refused_by_name():
    index = index_of([[(0, 0, 0, 9, 9)], [(0, 0, 0, 9, 9)]])
    assert has_tracks(index)
    lost = dataclasses.replace(index, tracks=np.array([0, -1], np.int32))
    assert not has_tracks(lost)
    with pytest.raises(InputError, match=r"test: a box of frame v0/1 has no track"):
        motion_iou(lost)


def test_no_boxes_at_all():
    index = index_of([[], []])
    assert has_tracks(index)
    assert motion_iou(index).shape == (0,)


def test_groups_share_their_ends_and_cover_everything():
    values = np.array([0.0, 0.69, 0.7, 0.8, 0.9, 0.91, 1.0])
    held = {group.name: group.holds(values).tolist() for group in SPEEDS}
    assert held["fast"] == [True, True, True, False, False, False, False]
    assert held["medium"] == [False, False, True, True, True, False, False]
    assert held["slow"] == [False, False, False, False, True, True, True]
    assert EVERY_SPEED.holds(values).all()
