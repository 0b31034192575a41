from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from stpn_data.clips import read_frame
from stpn_data.open_any import open_source
from stpn_data.support import WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_vod.explain.eigen_cam import common_stride, eigen_cam, heat_inside
from stpn_vod.explain.regions import object_features, sample_objects, videos_of
from stpn_vod.explain.view import Arm
from stpn_vod.model_file import TrainedDetector
from stpn_vod.motion import motion_iou
from stpn_vod.network_input import to_network
from stpn_vod.roi_align import pool_regions


def test_samples_are_of_their_speed_and_follow_the_seed(shapes: Path) -> None:
    index = open_source(str(shapes), "train")
    motion = motion_iou(index)
    slow, medium, fast = sample_objects(index, 6, 0)
    assert [s.speed for s in (slow, medium, fast)] == ["slow", "medium", "fast"]
    for sample, low, high in ((slow, 0.9, 1), (medium, 0.7, 0.9), (fast, 0, 0.7)):
        inside = np.flatnonzero((motion >= low) & (motion <= high))
        assert sample.total == len(inside)
        assert len(sample.rows) == min(6, len(inside))
        assert set(sample.rows.tolist()) <= set(inside.tolist())
        assert sorted(sample.rows) == sample.rows.tolist()
    again = sample_objects(index, 6, 0)
    assert all(
        np.array_equal(a.rows, b.rows) for a, b in zip((slow, medium, fast), again, strict=True)
    )
    other = [sample_objects(index, 6, seed)[0].rows.tolist() for seed in range(1, 4)]
    assert any(rows != slow.rows.tolist() for rows in other)


def test_without_tracks_there_is_one_group_and_useless_boxes_are_left_out(shapes: Path) -> None:
    index = open_source(str(shapes), "train")
    tracks = index.tracks.copy()
    tracks[0] = -1
    boxes = index.boxes.copy()
    boxes[1, 2] = boxes[1, 0] + 1
    present = index.present.copy()
    present[2] = False
    gone = set(range(int(index.box_start[2]), int(index.box_start[3])))
    spoilt = dataclasses.replace(index, tracks=tracks, boxes=boxes, present=present)
    (sample,) = sample_objects(spoilt, 10_000, 0)
    assert sample.speed == "all"
    assert set(sample.rows.tolist()) == set(range(len(boxes))) - gone - {1}


def test_features_are_those_of_each_box_in_its_own_frame(
    twin_detector: TrainedDetector, shapes: Path
) -> None:
    index = open_source(str(shapes), "val")
    rows = np.array([1, 2, 9])
    found = object_features(
        Arm("twin", twin_detector), index, rows, WindowPolicy(1, 2), EvalResize(96, 96)
    )
    features = found.pooled
    assert features.shape == (3, 8 * 49)
    model = twin_detector.model
    heat = []
    for row, actual in zip(rows.tolist(), features, strict=True):
        frame = int(np.searchsorted(index.box_start, row, side="right")) - 1
        resize = EvalResize(96, 96).geometry((64, 64))
        image = to_network(model, resize.images(read_frame(index, frame)))[None]
        with torch.no_grad():
            pyramid = model.fpn(model.stpn.encode(image, None))
            box = torch.from_numpy(index.boxes[row]) * 1.5
            expected = pool_regions(pyramid, [box[None]])
        stride = common_stride(pyramid, (96, 96))
        every = torch.from_numpy(index.boxes_of(frame).boxes) * 1.5
        cam = eigen_cam(pyramid, (96, 96), every, stride)
        heat.append(heat_inside(cam, stride, every, (96, 96)))
        assert torch.allclose(torch.from_numpy(actual), expected.flatten(), atol=1e-5)
    assert np.allclose(found.heat, heat, atol=1e-4)
    assert np.array_equal(found.take(np.array([2])).pooled, features[2:])
    assert videos_of(index, rows).tolist() == [0, 0, 1]


def test_prompts_change_the_features(detector: TrainedDetector, shapes: Path) -> None:
    index, rows = open_source(str(shapes), "val"), np.array([3])
    on, off = (
        object_features(
            Arm("x", detector, prompted), index, rows, WindowPolicy(1, 2), EvalResize(64, 64)
        )
        for prompted in (True, False)
    )
    assert not np.allclose(on.pooled, off.pooled)
