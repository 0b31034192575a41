"""What is drawn: patterns, bodies, paths, schedules."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from stpn_data.degrade.point_spread import PointSpread, blur
from stpn_data.synthesize.background import crop, draw_background
from stpn_data.synthesize.body import Pose, draw, draw_body
from stpn_data.synthesize.path import LIMITS, SPEEDS, draw_path, motion_iou
from stpn_data.synthesize.pattern import PATTERNS, balanced, pattern
from stpn_data.synthesize.schedule import draw_schedule

DISC = 48  # pixels across, five periods


def drawn(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A pattern on a disc, and the disc."""
    axis = (np.arange(DISC, dtype=np.float32) - DISC / 2 + 0.5) / (DISC / 5)
    x, y = axis[None, :], axis[:, None]
    disc = (np.hypot(x, y) < 2.4).astype(np.float32)
    return balanced(pattern(name, x + 0.3, y - 0.2), disc, DISC / 5) * disc, disc


def test_patterns_agree_in_mean_and_contrast_and_in_nothing_else() -> None:
    fields = {}
    for name in PATTERNS:
        field, disc = drawn(name)
        assert field[disc > 0].mean() == pytest.approx(0, abs=1e-4)
        assert field[disc > 0].std() == pytest.approx(1, abs=1e-3)
        fields[name] = field
    for first, second in itertools.combinations(PATTERNS, 2):
        likeness = (fields[first] * fields[second]).sum() / disc.sum()
        assert abs(likeness) < 0.5, (first, second, likeness)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_wide_blur_leaves_nothing_of_a_pattern(name: str) -> None:
    field, _ = drawn(name)
    wide = PointSpread(sigma=0.6 * DISC / 5)
    assert blur(field.astype(np.float32), wide, edge="constant").std() < 0.03
    # the same disc with a coarse shape of its own is seen
    ramp = np.linspace(-1.7, 1.7, DISC, dtype=np.float32) * np.abs(field)
    assert blur(ramp.astype(np.float32), wide, edge="constant").std() > 0.3


def test_a_box_is_the_outline() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        pose = Pose(x=50.3, y=40.8, radius=17.0, angle=float(rng.uniform(0, math.pi)))
        drawing = draw(draw_body(rng), pose, "dots", 90, 110)
        x1, y1, x2, y2 = (int(side) for side in drawing.box)
        solid = drawing.layer[3] >= 0.5
        assert solid[y1:y2, x1:x2].sum() == solid.sum()
        assert solid[y1].any()
        assert solid[y2 - 1].any()
        assert solid[:, x1].any()
        assert solid[:, x2 - 1].any()


def test_a_body_says_nothing_of_its_class_but_the_pattern() -> None:
    body = draw_body(np.random.default_rng(1))
    pose = Pose(x=32.0, y=32.0, radius=20.0, angle=0.4)
    drawings = [draw(body, pose, name, 64, 64) for name in PATTERNS]
    for other in drawings[1:]:
        assert other.box == drawings[0].box
        assert np.array_equal(other.layer[3], drawings[0].layer[3])
        sums = [d.layer[:3].sum(axis=(1, 2)) for d in (drawings[0], other)]
        assert np.allclose(*sums, rtol=1e-4)
        assert np.abs(other.layer - drawings[0].layer).max() > 20


def test_motion_iou_is_the_mean_over_ten_frames_each_way() -> None:
    rng = np.random.default_rng(2)
    corner = rng.uniform(0, 30, (26, 2)).cumsum(axis=0) / 4
    boxes = np.concatenate([corner, corner + rng.uniform(20, 40, (26, 2))], axis=1)

    def iou(a: np.ndarray, b: np.ndarray) -> float:
        width = min(a[2], b[2]) - max(a[0], b[0])
        height = min(a[3], b[3]) - max(a[1], b[1])
        common = max(width, 0) * max(height, 0)
        areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
        return common / (sum(areas) - common)

    expected = [
        np.mean([iou(boxes[t], boxes[k]) for k in range(t - 10, t + 11) if k != t and 0 <= k < 26])
        for t in range(26)
    ]
    assert np.allclose(motion_iou(boxes), expected)
    assert motion_iou(boxes[:1]).tolist() == [1.0]


@pytest.mark.parametrize("speed", SPEEDS)
def test_paths_stay_inside_at_the_speed_asked_for(speed: str) -> None:
    low, high = LIMITS[speed]
    right = 0
    for seed in range(20):
        poses = draw_path(np.random.default_rng(seed), speed, 24, 128, 160, 22.0, [])
        table = np.array([(pose.x, pose.y, pose.radius) for pose in poses])
        assert (table[:, :2] - table[:, 2:] > 0).all()
        assert (table[:, :2] + table[:, 2:] < [160, 128]).all()
        boxes = np.concatenate([table[:, :2] - table[:, 2:], table[:, :2] + table[:, 2:]], axis=1)
        right += low <= motion_iou(boxes).mean() <= high
    assert right >= 18


def test_two_objects_keep_clear_of_each_other() -> None:
    overlaps = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        first = draw_path(rng, "medium", 24, 128, 128, 18.0, [])
        second = draw_path(rng, "medium", 24, 128, 128, 18.0, [first])
        gaps = [math.hypot(a.x - b.x, a.y - b.y) for a, b in zip(first, second, strict=True)]
        overlaps.append(min(gaps) < 24)
    assert sum(overlaps) <= 2


def test_schedule_has_the_fraction_and_the_neighbours_promised() -> None:
    rng = np.random.default_rng(0)
    videos = np.array(
        [
            [s.severity > 0 for s in draw_schedule(rng, 40, 0.4, 2.0, ("blur",), (0.5, 0.5))]
            for _ in range(1500)
        ]
    )
    assert videos.mean() == pytest.approx(0.4, abs=0.01)
    for apart in (1, 3, 9):
        clean = ~videos[:, apart:][videos[:, :-apart]]
        assert clean.mean() == pytest.approx(0.6 * (1 - 0.5**apart), abs=0.015)


def test_schedule_at_its_ends() -> None:
    rng = np.random.default_rng(0)
    draws = [draw_schedule(rng, 50, f, 2.0, ("blur", "noise"), (0.2, 0.9)) for f in (0.0, 1.0)]
    assert {(s.kind, s.severity) for s in draws[0]} == {("clean", 0.0)}
    assert {s.kind for s in draws[1]} == {"blur", "noise"}
    assert all(0.2 <= s.severity <= 0.9 for s in draws[1])
    by_stretch = {(s.burst, s.kind, s.severity) for s in draws[1]}
    assert len(by_stretch) == len({s.burst for s in draws[1]}) > 10
    zero = draw_schedule(rng, 50, 1.0, 2.0, ("blur",), (0.0, 0.0))
    assert {s.kind for s in zero} == {"clean"}


def test_a_crop_between_pixels_is_the_mean_of_its_neighbours() -> None:
    picture = draw_background(np.random.default_rng(3), 70, 80)
    assert picture.min() >= 8
    assert picture.max() <= 247
    assert picture.std() > 10
    assert np.array_equal(crop(picture, 3.0, 5.0, 60, 70), picture[:, 3:63, 5:75])
    half = (picture[:, 3:63, 5:75] + picture[:, 3:63, 6:76]) / 2
    assert np.allclose(crop(picture, 3.0, 5.5, 60, 70), half, atol=1e-3)
