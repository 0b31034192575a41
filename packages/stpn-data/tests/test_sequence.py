from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from stpn_data import sequence
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.sequence import evaluation_videos, shard_videos
from stpn_data.support import UniformPolicy
from stpn_data.transforms import EvalResize

MakeIndex = Callable[..., VideoIndex]
HALF = EvalResize(40, 60)


@pytest.mark.parametrize("threads", [1, 3])
def test_frames_come_in_order_with_their_annotation(make_index: MakeIndex, threads: int) -> None:
    index = make_index((9, 4))
    videos = evaluation_videos(index, HALF, threads=threads)
    assert [(video.name, len(video)) for video in videos] == [("v0", 9), ("v1", 4)]
    seen = 0
    for v, video in enumerate(videos):
        for t, frame in enumerate(video.frames()):
            assert (frame.video, frame.t, frame.name) == (v, t, f"v{v}/{t:06d}")
            assert frame.index == seen
            assert frame.image.shape == (3, 40, 60)
            assert (frame.original_size, frame.scale) == ((80, 120), (0.5, 0.5))
            assert frame.annotation.boxes.tolist() == [[10 + 3 * t, 8 + t, 40 + 3 * t, 30 + t]]
            assert frame.annotated
            # image and annotation belong together
            box = frame.annotation.boxes[0] / 2
            rows, columns = (frame.image[0] > 127).nonzero().unbind(1)
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(np.array(found) - box).max() <= 1
            seen += 1
    assert seen == 13
    assert [frame.t for frame in videos[0].frames(every=4)] == [0, 4, 8]


def test_support_is_decoded_once(make_index: MakeIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    (video,) = evaluation_videos(make_index((5,)), HALF)
    images = [frame.image for frame in video.frames()]
    reads: list[int] = []
    read = sequence.read_frame

    def counted(index: VideoIndex, frame: int) -> Tensor:
        reads.append(frame)
        return read(index, frame)

    monkeypatch.setattr(sequence, "read_frame", counted)
    places = UniformPolicy(9).indices(0, len(video))
    support = video.support(places)
    assert reads == [0, 1, 2, 3, 4]
    assert torch.equal(support, torch.stack([images[t] for t in places]))


def test_degradation_knows_video_and_frame(make_index: MakeIndex) -> None:
    calls: list[tuple[str, int]] = []

    def darken(image: Tensor, video: str, t: int) -> Tensor:
        assert image.shape == (3, 80, 120)
        calls.append((video, t))
        return image // 2

    videos = evaluation_videos(make_index((3, 2)), HALF, degrade=darken, threads=1)
    images = [frame.image for video in videos for frame in video.frames()]
    assert calls == [("v0", 0), ("v0", 1), ("v0", 2), ("v1", 0), ("v1", 1)]
    assert max(int(image.max()) for image in images) == 127
    assert videos[1].support([1]).max() == 127


def test_missing_frames_are_refused_or_left_out(make_index: MakeIndex) -> None:
    index = make_index((6, 3))
    present = index.present.copy()
    for frame in (0, 3, 6):
        index.frame_path(frame).unlink()
        present[frame] = False
    index = replace(index, present=present)
    for rank in range(2):
        with pytest.raises(DataError, match="3 of 9 frames have no image file"):
            evaluation_videos(index, HALF, rank=rank, world_size=2)
    first, second = evaluation_videos(index, HALF, allow_missing=True)
    assert first.missing() == [0, 3]
    assert [frame.t for frame in first.frames()] == [1, 2, 4, 5]
    assert [frame.name for frame in second.frames()] == ["v1/000001", "v1/000002"]
    support = first.support([0, 3, 5])  # the nearest stand in
    assert torch.equal(support[0], first.frame(1).image)
    assert torch.equal(support[1], first.frame(2).image)
    assert torch.equal(support[2], first.frame(5).image)


@pytest.mark.parametrize("allow_missing", [False, True])
def test_a_damaged_frame_is_an_error_in_its_place(
    make_index: MakeIndex, allow_missing: bool
) -> None:
    index = make_index((30,))
    index.frame_path(4).write_bytes(b"not an image")
    (video,) = evaluation_videos(index, HALF, allow_missing=allow_missing)
    frames = video.frames()
    assert [next(frames).t for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"000004\.png"):
        next(frames)
    assert not any("stpn-decode" in thread.name for thread in threading.enumerate())


def test_leaving_early_ends_the_threads(make_index: MakeIndex) -> None:
    (video,) = evaluation_videos(make_index((30,)), HALF)
    frames = video.frames()
    next(frames)
    assert any("stpn-decode" in thread.name for thread in threading.enumerate())
    frames.close()  # type: ignore[attr-defined]
    assert not any("stpn-decode" in thread.name for thread in threading.enumerate())


@given(lengths=st.lists(st.integers(0, 3000), max_size=60), world_size=st.integers(1, 9))
def test_shards_are_disjoint_complete_and_even(lengths: list[int], world_size: int) -> None:
    shards = shard_videos(lengths, world_size)
    assert len(shards) == world_size
    assert sorted(video for shard in shards for video in shard) == list(range(len(lengths)))
    assert all(shard == sorted(shard) for shard in shards)
    loads = [sum(lengths[video] for video in shard) for shard in shards]
    assert max(loads) - min(loads) <= max(lengths, default=0)


def test_frames_are_what_is_spread_evenly() -> None:
    assert shard_videos([1, 1, 9, 1, 1, 1, 1, 1, 1, 1], 2) == [[2], [0, 1, 3, 4, 5, 6, 7, 8, 9]]


def test_settings_that_make_no_sense(make_index: MakeIndex) -> None:
    for wrong in ({"threads": 0}, {"rank": 1}):
        with pytest.raises(DataError, match="cannot evaluate with"):
            evaluation_videos(make_index(()), HALF, **wrong)
