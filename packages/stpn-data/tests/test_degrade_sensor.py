"""Noise, darkness and compression."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stpn_data.degrade import compress, low_light, noise
from stpn_data.errors import DataError


def grey(level: int) -> torch.Tensor:
    return torch.full((2, 3, 120, 121), level, dtype=torch.uint8)


@pytest.mark.parametrize(("severity", "sigma"), [(0.2, 8.7), (0.5, 21.7)])
def test_noise_has_the_promised_deviation_and_no_bias(severity: float, sigma: float) -> None:
    level = 128  # variance 25² + 50² * 128/255
    spoiled = noise(grey(level), severity, np.random.default_rng(0)).float()
    assert spoiled.mean() == pytest.approx(level, abs=0.5)
    assert spoiled.std() == pytest.approx(sigma, rel=0.03)
    assert not torch.equal(spoiled[0], spoiled[1])


def test_noise_grows_with_brightness() -> None:
    dim, bright = (noise(grey(v), 0.3, np.random.default_rng(0)).float().std() for v in (60, 190))
    assert bright > 1.2 * dim


def test_low_light_darkens_and_smooths() -> None:
    stripes = grey(60)
    stripes[:, :, :, ::4] = 180
    stripes[:, :, :, 1::4] = 180
    spoiled = low_light(stripes, 1.0, np.random.default_rng(0), smoothing=3.0).float()
    assert spoiled.mean() == pytest.approx(120 / 4, abs=1.5)
    columns = spoiled.mean((0, 1, 2))[20:-20]
    assert columns.std() < 0.5, "stripes of four pixels show through a smoothing of three"
    plain = low_light(stripes, 1.0, np.random.default_rng(0), smoothing=0.0).float()
    assert plain.mean((0, 1, 2))[20:-20].std() > 10


def textured(frames: int = 4) -> torch.Tensor:
    y, x = np.mgrid[:66, :91]
    clip = [128 + 50 * np.sin((x + 2 * t) / 5) + 50 * np.cos(y / 6) for t in range(frames)]
    return torch.from_numpy(np.stack([clip] * 3, axis=1).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("codec", ["jpeg", "mpeg4"])
def test_compression_keeps_the_picture_and_loses_detail(codec: str) -> None:
    frames = textured()
    mild, strong = (
        compress(frames, s, np.random.default_rng(0), codec=codec).float() - frames.float()
        for s in (0.1, 1.0)
    )
    assert 2 * mild.abs().mean() < 5 < strong.abs().mean()
    assert strong.mean().abs() < 5


def test_one_frame_and_a_clip_pass_the_video_codec() -> None:
    single = compress(textured()[0], 0.5, np.random.default_rng(0), codec="mpeg4")
    assert single.shape == (3, 66, 91)


def test_an_unknown_codec_is_refused() -> None:
    with pytest.raises(DataError, match="codec is"):
        compress(textured(), 0.5, np.random.default_rng(0), codec="vp9")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="downscale"):
        compress(textured(), 0.5, np.random.default_rng(0), downscale=0.5)
