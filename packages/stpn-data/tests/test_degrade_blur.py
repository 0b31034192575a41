"""Motion blur and defocus: where the light of one point goes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stpn_data.degrade import defocus, motion_blur, object_motion
from stpn_data.degrade.point_spread import PointSpread, blur
from stpn_data.errors import DataError

CENTRE = 60


def point(size: int = 121) -> np.ndarray:
    image = np.zeros((1, size, size), dtype=np.float32)
    image[0, CENTRE, CENTRE] = 1.0
    return image


def moments(image: np.ndarray, angle: float) -> tuple[float, float]:
    """Variance along and across a direction, in square pixels."""
    y, x = np.mgrid[: image.shape[-2], : image.shape[-1]] - CENTRE
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    return float((image * along**2).sum()), float((image * across**2).sum())


@pytest.mark.parametrize("angle", [0.0, 0.6, math.pi / 2, 2.5])
def test_a_line_spreads_along_its_direction(angle: float) -> None:
    image = blur(point(), PointSpread(line=24.0, angle=angle, sigma=2.0))
    assert image.sum() == pytest.approx(1.0, abs=1e-4)
    along, across = moments(image, angle)
    assert along == pytest.approx(24.0**2 / 12 + 4, rel=0.02)  # variances of line and Gaussian add
    assert across == pytest.approx(4.0, rel=0.02)


def test_a_disc_spreads_equally_in_all_directions() -> None:
    image = blur(point(), PointSpread(disc=10.0))
    assert image.sum() == pytest.approx(1.0, abs=1e-4)
    for angle in (0.0, 0.7):
        along, across = moments(image, angle)
        assert along == pytest.approx(25.0, rel=0.05)  # r² / 4
        assert along == pytest.approx(across, rel=0.01)
    assert np.abs(image[0, CENTRE, CENTRE + 12 :]).max() < 1e-6


def test_a_flat_picture_stays_flat_and_an_empty_spread_changes_nothing() -> None:
    flat = np.full((3, 20, 33), 140, dtype=np.float32)
    spread = PointSpread(line=30, angle=1.0, disc=9, sigma=4)  # wider than the picture
    assert np.allclose(blur(flat, spread), 140, atol=1e-3)
    noise = np.random.default_rng(0).uniform(0, 255, (3, 20, 33)).astype(np.float32)
    assert np.allclose(blur(noise, PointSpread()), noise, atol=1e-3)


def bright_spot() -> torch.Tensor:
    frames = torch.full((2, 3, 80, 80), 40, dtype=torch.uint8)
    frames[:, :, 36:44, 36:44] = 220
    return frames


def extent(frame: torch.Tensor) -> tuple[int, int]:
    """Width and height of what is brighter than the ground."""
    lit = frame[0] > 48
    return int(lit.any(0).sum()), int(lit.any(1).sum())


def test_motion_gives_the_direction_frame_by_frame() -> None:
    motion = np.array([[3.0, 0.0], [0.0, -0.2]])
    rng = np.random.default_rng(0)
    spoiled = motion_blur(bright_spot(), 1.0, rng, motion=motion, length=24, shake=0.02)
    (wide, low), (narrow, tall) = extent(spoiled[0]), extent(spoiled[1])
    assert wide > 24 > 12 > low
    assert tall > 24 > 12 > narrow


def test_only_the_object_in_its_box_is_smeared() -> None:
    frames = bright_spot()
    frames[:, :, :, 70:] = torch.randint(0, 255, (2, 3, 80, 10), dtype=torch.uint8)
    boxes = np.array([34.0, 34.0, 46.0, 46.0])
    options = {"motion": np.array([1.0, 0.0]), "length": 16.0}
    spoiled = motion_blur(frames, 1.0, np.random.default_rng(0), boxes=boxes, **options)
    assert torch.equal(spoiled[:, :, :, 70:], frames[:, :, :, 70:])
    assert torch.equal(spoiled[:, :, :20], frames[:, :, :20])
    assert extent(spoiled[0])[0] > extent(frames[0])[0] + 4
    whole = motion_blur(frames, 1.0, np.random.default_rng(0), **options)
    assert not torch.equal(whole[:, :, :, 70:], frames[:, :, :, 70:])


def test_object_motion_is_the_displacement_of_the_centre() -> None:
    steps = np.array([[2.0, -1.0]])
    boxes = np.array([10.0, 10.0, 20.0, 30.0]) + np.arange(5)[:, None] * np.tile(steps, 2)
    assert np.allclose(object_motion(boxes), np.repeat(steps, 5, axis=0))
    assert object_motion(boxes[:1]).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    "options",
    [
        {"motion": np.zeros((3, 2))},
        {"motion": np.array([np.nan, 0.0])},
        {"boxes": np.zeros((2, 3))},
    ],
)
def test_rows_that_do_not_fit_the_frames_are_refused(options: dict) -> None:
    with pytest.raises(DataError, match="one finite row"):
        motion_blur(bright_spot(), 0.5, np.random.default_rng(0), **options)


def test_defocus_softens_by_the_radius_asked_for() -> None:
    frames = bright_spot()
    sizes = [
        extent(defocus(frames[0], s, np.random.default_rng(0), radius=10.0))[0]
        for s in (0.0, 0.3, 0.6)
    ]
    assert sizes[0] == 8 < sizes[1] < sizes[2]
