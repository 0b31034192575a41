"""What holds for every degradation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stpn_data.degrade import KINDS, degrade
from stpn_data.errors import DataError

RANDOM = ("blur", "occlusion", "noise", "low_light")  # the others draw nothing


def picture(frames: int = 3, height: int = 60, width: int = 97) -> torch.Tensor:
    """Smooth shapes with fine detail on top; an odd width."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    base = 120 + 60 * np.sin(x / 9) + 40 * np.cos(y / 7)
    clip = base + 15 * rng.standard_normal((frames, 3, height, width))
    return torch.from_numpy(np.clip(clip, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("single", [True, False])
def test_severity_zero_is_the_identity(kind: str, single: bool) -> None:
    frames = picture()[0] if single else picture()
    same = degrade(frames, kind, 0.0, np.random.default_rng(0))
    assert torch.equal(same, frames)
    same.zero_()
    assert frames.any(), "the result shares memory with the frames that came in"


@pytest.mark.parametrize("kind", KINDS)
def test_shape_and_type_stay_and_the_input_is_untouched(kind: str) -> None:
    frames = picture()
    before = frames.clone()
    for given in (frames, frames[1], frames.numpy(), frames.numpy()[1]):
        spoiled = degrade(given, kind, 0.8, np.random.default_rng(0))
        assert type(spoiled) is type(given)
        assert spoiled.shape == given.shape
        assert spoiled.dtype == given.dtype
    assert torch.equal(frames, before)


@pytest.mark.parametrize("kind", KINDS)
def test_more_severe_is_further_from_the_original(kind: str) -> None:
    frames = picture()
    distance = [
        (degrade(frames, kind, s, np.random.default_rng(3)).float() - frames.float()).abs().mean()
        for s in (0.1, 0.4, 0.7, 1.0)
    ]
    assert distance[0] > 0
    assert distance == sorted(distance)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_bits_in_torch_and_numpy(kind: str) -> None:
    frames = picture()
    first = degrade(frames, kind, 0.6, np.random.default_rng(7))
    again = degrade(frames.numpy(), kind, 0.6, np.random.default_rng(7))
    assert np.array_equal(first.numpy(), again)
    other = degrade(frames, kind, 0.6, np.random.default_rng(8))
    assert torch.equal(first, other) == (kind not in RANDOM)


def test_non_contiguous_frames_give_the_same() -> None:
    frames = picture()
    turned = frames.flip(-1).transpose(-1, -2)
    for kind in KINDS:
        first = degrade(turned, kind, 0.5, np.random.default_rng(1))
        second = degrade(turned.contiguous(), kind, 0.5, np.random.default_rng(1))
        assert torch.equal(first, second)


def test_several_kinds_follow_each_other() -> None:
    frames = picture()
    both = degrade(frames, ["occlusion", "noise"], 0.5, np.random.default_rng(2))
    rng = np.random.default_rng(2)
    by_hand = degrade(degrade(frames, "occlusion", 0.5, rng), "noise", 0.5, rng)
    assert torch.equal(both, by_hand)
    assert torch.equal(degrade(frames, [], 0.5, rng), frames)


@pytest.mark.parametrize("severity", [-0.1, 1.01, float("nan"), float("inf")])
@pytest.mark.parametrize("kind", KINDS)
def test_a_severity_outside_its_range_is_refused(kind: str, severity: float) -> None:
    with pytest.raises(DataError, match="severity goes from 0"):
        degrade(picture(), kind, severity, np.random.default_rng(0))


def test_other_frames_and_unknown_kinds_are_refused() -> None:
    rng = np.random.default_rng(0)
    frames = picture()
    with pytest.raises(DataError, match="uint8 frames"):
        degrade(frames.float(), "blur", 0.5, rng)
    with pytest.raises(DataError, match=r"\(T,3,H,W\).*not uint8 \(3, 60\)"):
        degrade(frames[0, :, :, 0], "blur", 0.5, rng)
    with pytest.raises(DataError, match="on meta"):
        degrade(frames.to("meta"), "noise", 0.5, rng)
    with pytest.raises(DataError, match="'fog'; there are blur"):
        degrade(frames, "fog", 0.5, rng)
    with pytest.raises(DataError, match="need one kind"):
        degrade(frames, ["blur", "noise"], 0.5, rng, length=4)


def test_a_frame_of_one_pixel_survives() -> None:
    dot = torch.full((1, 3, 1, 1), 77, dtype=torch.uint8)
    for kind in KINDS:
        assert degrade(dot, kind, 1.0, np.random.default_rng(0)).shape == dot.shape
