"""The argument behind the data: a spoiled frame hides the class, its clean neighbour shows it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stpn_data.synthesize.arguments import Arguments
from stpn_data.synthesize.pattern import PATTERNS
from stpn_data.synthesize.render import Frame, render
from stpn_data.synthesize.scene import draw_scene

SIZE = 128


def frames_of(kind: str, severity: float, speed: str, labels: tuple[str, ...]) -> list[list[Frame]]:
    """The same scene once per label, every frame spoiled alike."""
    arguments = Arguments(
        frames=2,
        kinds=(kind,),
        severity=(severity, severity),
        fraction_degraded=1.0,
        speeds=(speed,),
        seed=11,
    )
    scene = draw_scene(arguments, 1, 4)
    return [list(render(scene, (label,), SIZE, SIZE)) for label in labels]


def difference(videos: list[list[Frame]]) -> float:
    """Mean difference between classes over the object, in levels, noise averaged out over 3×3."""
    worst = 0.0
    for first, second in itertools.combinations(videos, 2):
        for a, b in zip(first, second, strict=True):
            x1, y1, x2, y2 = a.boxes[0]
            gap = (a.image.astype(float) - b.image)[:, y1:y2, x1:x2].mean(axis=0)
            smooth = sum(np.roll(gap, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
            worst = max(worst, float(np.abs(smooth / 9).mean()))
    return worst


@pytest.mark.parametrize("kind", ["blur", "defocus", "occlusion", "low_light"])
@pytest.mark.parametrize("speed", ["slow", "fast"])
def test_at_severity_one_no_pixel_tells_the_classes_apart(kind: str, speed: str) -> None:
    assert difference(frames_of(kind, 1.0, speed, PATTERNS)) < 0.8  # the sensor's noise is 2.0
    # the measure sees a class that is there to be seen
    assert difference(frames_of(kind, 0.0, speed, PATTERNS[:3])) > 10


@pytest.mark.parametrize("kind", ["blur", "defocus", "occlusion", "low_light"])
def test_what_is_left_of_a_class_shrinks_with_severity(kind: str) -> None:
    left = [difference(frames_of(kind, s, "medium", PATTERNS[:3])) for s in (0.0, 0.3, 0.6, 1.0)]
    assert left == sorted(left, reverse=True)
    assert left[1] > 2


@pytest.mark.parametrize("kind", ["blur", "defocus", "occlusion", "low_light"])
def test_at_severity_one_the_object_still_stands_out(kind: str) -> None:
    """The frame without the object differs from the frame with it, inside the box and around it."""
    for video in frames_of(kind, 1.0, "fast", PATTERNS[:1]):
        for frame in video:
            x1, y1, x2, y2 = frame.boxes[0]
            inside = frame.image[:, y1:y2, x1:x2].reshape(3, -1).mean(axis=1)
            margin = 8
            ring = np.ones((SIZE, SIZE), dtype=bool)
            ring[y1:y2, x1:x2] = False
            ring[: max(y1 - margin, 0)] = ring[y2 + margin :] = False
            ring[:, : max(x1 - margin, 0)] = ring[:, x2 + margin :] = False
            around = frame.image[:, ring].mean(axis=1)
            assert np.abs(inside - around).max() > 5


def test_videos_of_a_scene_share_all_but_the_pattern() -> None:
    first, second = frames_of("occlusion", 0.5, "medium", ("dots", "grid"))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a.boxes, b.boxes)
        assert a.spoil == b.spoil
        x1, y1, x2, y2 = a.boxes[0]
        outside = np.ones((SIZE, SIZE), dtype=bool)
        outside[y1 - 1 : y2 + 2, x1 - 1 : x2 + 2] = False
        assert np.array_equal(a.image[:, outside], b.image[:, outside])


def test_occlusion_is_marked_and_blur_is_not() -> None:
    (hidden,), (blurred,) = (frames_of(k, 0.8, "medium", ("dots",)) for k in ("occlusion", "blur"))
    assert all(frame.occluded.all() for frame in hidden)
    assert not any(frame.occluded.any() for frame in blurred)


def test_a_streak_follows_the_object_and_leaves_the_scene_sharp() -> None:
    fast, slow = (frames_of("blur", 1.0, speed, ("dots",))[0] for speed in ("fast", "slow"))
    clean = {speed: frames_of("blur", 0.0, speed, ("dots",))[0] for speed in ("fast", "slow")}

    def detail(frame: Frame) -> float:
        return float(np.abs(np.diff(frame.image[:, :20].astype(float), axis=2)).mean())

    assert detail(fast[1]) > 0.9 * detail(clean["fast"][1])
    assert detail(slow[1]) < 0.7 * detail(clean["slow"][1])  # there the camera shakes
