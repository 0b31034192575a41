"""The simple feature pyramid: sizes, channels, alignment of its levels with the image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stpn_core.pyramid import SimpleFeaturePyramid


def patches_of(size: tuple[int, int], patch: int, dim: int = 8) -> Tensor:
    return torch.randn(2, dim, -(-size[0] // patch), -(-size[1] // patch))


@pytest.mark.parametrize("patch", [8, 14, 16, 32])
@pytest.mark.parametrize("size", [(1, 1), (32, 64), (50, 91), (97, 33)])
def test_every_level_covers_the_image_and_no_more(patch: int, size: tuple[int, int]) -> None:
    pyramid = SimpleFeaturePyramid(8, patch, channels=6)
    maps = pyramid(patches_of(size, patch), size)
    assert [tuple(m.shape) for m in maps] == [
        (2, 6, -(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16, 32)
    ]


def test_levels_can_be_chosen() -> None:
    pyramid = SimpleFeaturePyramid(8, 16, channels=6, strides=(8, 32))
    maps = pyramid(patches_of((64, 64), 16), (64, 64))
    assert [m.shape[-1] for m in maps] == [8, 2]
    assert len(pyramid.levels) == 2


def test_patches_of_14_pixels_are_resampled_in_place() -> None:
    """A ramp over the image stays the same ramp: cell centres keep their pixel coordinates."""
    pyramid = SimpleFeaturePyramid(1, 14, channels=1, strides=(16,))
    pyramid.levels = nn.ModuleList([nn.Identity()])
    width = 14 * 16
    centres = (torch.arange(width // 14) + 0.5) * 14
    ramp = centres.expand(1, 1, width // 14, -1)
    (resampled,) = pyramid(ramp, (width, width))
    wanted = (torch.arange(width // 16) + 0.5) * 16
    assert resampled.shape == (1, 1, 14, 14)
    torch.testing.assert_close(resampled[0, 0], wanted.expand(14, -1))


def test_rows_do_not_mix() -> None:
    pyramid = SimpleFeaturePyramid(8, 16, channels=6).eval()
    patches = patches_of((64, 64), 16)
    other = torch.stack([patches[0], torch.full_like(patches[1], torch.nan)])
    for a, b in zip(pyramid(patches, (64, 64)), pyramid(other, (64, 64)), strict=True):
        assert torch.equal(a[0], b[0])
        assert b[1].isnan().all()
