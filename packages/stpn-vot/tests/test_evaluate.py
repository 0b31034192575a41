"""Following the targets of an index: numbers, ranks, stopping, what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stpn_core.errors import InputError
from stpn_core.testing.children import wait
from stpn_core.testing.ranks import launch
from stpn_core.training import EvaluationStopped, World, init_distributed, shut_down
from stpn_data.clips import read_frame
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_vot.evaluate import as_tracked, evaluate, follow, follow_all
from stpn_vot.metrics.overlap import box_iou
from stpn_vot.model_file import TrainedTracker
from stpn_vot.targets import target_of
from stpn_vot.track_split import SplitSettings, track_split
from stpn_vot.tracker import start_tracking, track
from stpn_vot.tracking_config import TrackingConfig

from .moving_square import HEIGHT, WIDTH, place, videos
from .networks import TINY, tracker

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

ALONE = World(0, 1, 0, torch.device("cpu"))
CONFIG = TrackingConfig(48, 96, interval=3)


@pytest.fixture(scope="module")
def model():
    return tracker(TINY)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> VideoIndex:
    return videos(tmp_path_factory.mktemp("squares"), (6, 4, 5), absent={0: [2, 3], 2: [4]})


@pytest.fixture(scope="module")
def ways(model, index):
    return follow_all(model, index, CONFIG, ALONE)


def test_a_target_is_what_the_index_says_of_it(index):
    target = target_of(index, 0)
    assert (target.name, target.frames, target.object_class) == ("v0", range(6), "round")
    np.testing.assert_array_equal(target.truth, [place(0, t) for t in range(6)])
    assert target.visible.tolist() == [True, True, False, False, True, True]
    assert target.box == place(0, 0)
    assert target_of(index, 1).frames == range(6, 10)


def test_a_target_begins_at_its_first_box_and_other_tracks_are_not_it(index):
    # video 0: frame 0 without a box, frame 1 with one of a second track, too
    boxes = np.concatenate([index.boxes[1:2], [[0, 0, 5, 5]], index.boxes[2:]]).astype(np.float32)
    moved = dataclasses.replace(
        index,
        box_start=np.concatenate([[0, 0, 2], 2 + np.arange(1, 14)]),
        boxes=boxes,
        tracks=np.array([0, 7, *[0] * 13], np.int32),
        flags=np.zeros(15, np.uint8),
    )
    target = target_of(moved, 0)
    assert target.frames == range(1, 6)
    np.testing.assert_array_equal(target.truth, [place(0, t) for t in range(1, 6)])


def test_frames_without_a_box_are_not_to_be_seen(model, index):
    counts = np.ones(15, np.int64)
    counts[2] = 0
    bare = dataclasses.replace(
        index,
        box_start=np.concatenate([[0], np.cumsum(counts)]),
        **{name: np.delete(getattr(index, name), 2, 0) for name in ("boxes", "labels", "tracks")},
        flags=np.zeros(14, np.uint8),
    )
    target = target_of(bare, 0)
    assert target.visible.tolist() == [True, True, False, True, True, True]
    assert np.isnan(target.truth[2]).all()
    assert evaluate(model, bare, CONFIG, ALONE)["frames"] == 4 + 3 + 4


def test_each_video_is_followed_as_frame_by_frame(model, index, ways):
    for video, way in enumerate(ways):
        target = target_of(index, video)
        frames = [read_frame(index, frame) for frame in target.frames]
        state = start_tracking(model, frames[0], target.box, CONFIG)
        boxes = [target.box]
        for frame in frames[1:]:
            result, state = track(model, state, frame)
            boxes.append(result.box)
        np.testing.assert_array_equal(way.boxes, boxes)
        assert way.size == (WIDTH, HEIGHT)
        assert len(way.seconds) == len(boxes)
        assert (way.seconds > 0).all()


def test_numbers_count_visible_frames_after_the_first(model, index, ways):
    numbers = evaluate(model, index, CONFIG, ALONE)
    overlaps = []
    for video, way in enumerate(ways):
        target = target_of(index, video)
        every = box_iou(way.boxes, target.truth, way.size)
        overlaps += every[1:][target.visible[1:]].tolist()
    assert numbers["frames"] == len(overlaps) == 3 + 3 + 3
    assert numbers["AO"] == pytest.approx(np.mean(overlaps), abs=1e-12)
    assert numbers["SR50"] == np.mean(np.array(overlaps) > 0.5)
    assert set(numbers) == {"AO", "SR50", "SR75", "mAO", "mSR50", "frames"}


def test_training_mode_is_put_back(model, index):
    model.train()
    evaluate(model, index, CONFIG, ALONE)
    was = model.training
    model.eval()
    assert was


def test_two_ranks_find_what_one_finds(model, index, ways, tmp_path: Path):
    expected = evaluate(model, index, CONFIG, ALONE)
    source = tmp_path / "weights"
    source.write_bytes(b"some weights")

    def rank() -> int:
        world = init_distributed("cpu", 120)
        numbers = evaluate(model, index, CONFIG, world)
        found = follow_all(model, index, CONFIG, world)
        answer = {"numbers": numbers, "boxes": [way.boxes.tolist() for way in found]}
        (tmp_path / f"{world.rank}.json").write_text(json.dumps(answer))
        trained = TrainedTracker(model, TINY, source)
        settings = SplitSettings(CONFIG)
        track_split(trained, index, tmp_path / "files", settings, world, protocol="unknown")
        shut_down()
        return 0

    pid = launch(tmp_path / "ranks", rank)
    assert wait(pid, 120) == 0, (tmp_path / "ranks.txt").read_text()
    for number in (0, 1):
        answer = json.loads((tmp_path / f"{number}.json").read_text())
        assert answer["numbers"] == expected
        assert answer["boxes"] == [way.boxes.tolist() for way in ways]
    for video, way in enumerate(ways):
        written = np.loadtxt(tmp_path / "files" / f"v{video}" / f"v{video}_001.txt", delimiter=",")
        np.testing.assert_allclose(written, way.boxes, 0, 5.1e-4)


def test_it_stops_when_told_to(model, index):
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    with pytest.raises(EvaluationStopped):
        evaluate(model, index, CONFIG, ALONE, stop=stop)
    assert len(asked) == 3


def test_frames_can_be_spoiled_first(model, index, ways):
    places = []

    def black(frame, video, t):
        places.append((video, t))
        return torch.zeros_like(frame)

    way = follow(model, index, target_of(index, 1), CONFIG, degrade=black)
    assert places == [("v1", t) for t in range(4)]
    assert not np.array_equal(way.boxes, ways[1].boxes)


def test_what_cannot_be_measured_is_refused(model, index, ways, tmp_path):
    tracked = as_tracked(target_of(index, 0), ways[0])
    assert tracked.cover.tolist() == [8, 8, 0, 0, 8, 8]
    unseen = dataclasses.replace(index, flags=np.full_like(index.flags, 32))
    with pytest.raises(InputError, match="no annotated frame"):
        evaluate(model, unseen, CONFIG, ALONE)
    gone = dataclasses.replace(index, present=np.zeros_like(index.present))
    with pytest.raises(DataError, match="no image file"):
        evaluate(model, gone, CONFIG, ALONE)
    bare = dataclasses.replace(index, box_start=np.zeros_like(index.box_start))
    with pytest.raises(DataError, match="v0 has no box"):
        evaluate(model, bare, CONFIG, ALONE)
    outside = dataclasses.replace(index, boxes=index.boxes + 200)
    with pytest.raises(DataError, match=r"v0: box .* outside"):
        evaluate(model, outside, CONFIG, ALONE)
