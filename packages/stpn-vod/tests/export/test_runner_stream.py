"""The runner against torch, on a clip with a cut, for every policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stpn_core.errors import InputError
from stpn_data.arrays.frames import FrameSource
from stpn_data.support import OnlinePolicy, Policy, UniformPolicy, WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_data.video import open_video
from stpn_vod.model_file import TrainedDetector
from stpn_vod.runner import detect_frames, open_exported
from stpn_vod.runner.stream import DetectionStream
from stpn_vod.stream import detect_frames as torch_detect_frames

from .export_tiny import SIDES

POLICIES = [
    WindowPolicy(2, 3),
    OnlinePolicy(3, 2),
    OnlinePolicy(2, 2, exact=True),
    UniformPolicy(4),
]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("cuts", [True, False])
def test_boxes_are_torchs(
    small: TrainedDetector, folder: Path, clip: Path, policy: Policy, cuts: bool
) -> None:
    model = open_exported(folder, threads=1)
    frames = list(FrameSource(clip))
    chosen = [frames[i].image for i in (0, 4, 8, 12)]
    given = list(detect_frames(model, frames, policy, **SIDES, cuts=cuts, support=chosen))
    with open_video(clip) as video:
        tensors = list(video)
    expected = list(
        torch_detect_frames(
            small.model,
            tensors,
            policy,
            resize=EvalResize(*SIDES.values()),
            cuts=cuts,
            support=[tensors[i].image for i in (0, 4, 8, 12)],
        )
    )
    assert [r.has_prompt for r in given] == [r.has_prompt for r in expected]
    found = 0
    for a, b in zip(given, expected, strict=True):
        assert a.frame.index == b.frame.index
        assert len(a.found) == len(b.found)
        order = nearest(
            b.found.boxes.numpy(), a.found.boxes, b.found.labels.numpy(), a.found.labels
        )
        assert sorted(order) == list(range(len(order)))
        np.testing.assert_allclose(a.found.boxes[order], b.found.boxes, atol=1e-3, rtol=0)
        np.testing.assert_allclose(a.found.scores[order], b.found.scores, atol=1e-3, rtol=0)
        found += len(a.found)
    assert found > 50


def nearest(
    boxes: np.ndarray, others: np.ndarray, labels: np.ndarray, other_labels: np.ndarray
) -> list[int]:
    """For each box the like one among the others: equal scores may come in either order."""
    far = np.abs(boxes[:, None] - others[None]).max(2)
    far[labels[:, None] != other_labels[None]] = np.inf
    return far.argmin(1).tolist()


def test_prompts_matter_and_cuts_too(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    frames = list(FrameSource(clip))
    streams = [
        list(detect_frames(model, frames, policy, **SIDES, cuts=cuts))
        for policy, cuts in (
            (OnlinePolicy(3, 2), True), (OnlinePolicy(3, 2), False), (UniformPolicy(4), True),
        )
    ]  # fmt: skip
    scores = [[result.found.scores for result in results] for results in streams]
    assert not np.array_equal(scores[0][12], scores[2][12])  # without support: no prompts
    assert np.array_equal(scores[0][7], scores[1][7])  # before the cut
    assert not np.array_equal(scores[0][9], scores[1][9])  # after it


def test_online_answers_at_once_and_window_in_time(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    frames = list(FrameSource(clip))
    online = DetectionStream(model, OnlinePolicy(2, 2), **SIDES)
    assert [len(online.take(frame)) for frame in frames[:4]] == [1, 1, 1, 1]
    window = DetectionStream(model, WindowPolicy(1, 2), **SIDES)
    assert [len(window.take(frame)) for frame in frames[:4]] == [0, 0, 1, 1]
    assert [result.frame.index for result in window.finish()] == [2, 3]


def test_a_frame_that_fits_no_graph(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    frames = list(FrameSource(clip))
    with pytest.raises(InputError, match="needs graphs for 128x192; there are 64x96"):
        list(detect_frames(model, frames, OnlinePolicy(), short_side=120, long_side=180))


def test_a_smaller_frame_runs_in_larger_graphs_and_says_so(folder: Path, clip: Path) -> None:
    model = open_exported(folder, threads=1)
    frames = list(FrameSource(clip))[:1]
    assert len(list(detect_frames(model, frames, OnlinePolicy(), short_side=30, long_side=45))) == 1
    assert model.enlarged == {"32x64": "64x96"}
