"""Occluders: how much they cover, and that they move as one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stpn_data.degrade import occlude
from stpn_data.errors import DataError

WHITE = torch.full((6, 3, 90, 120), 255, dtype=torch.uint8)  # no occluder is as bright


def covered(frames: torch.Tensor) -> torch.Tensor:
    return (frames < 250).any(dim=-3)


def test_cover_grows_to_just_under_half_of_the_frame() -> None:
    shares = [
        np.mean(
            [
                covered(occlude(WHITE[0], s, np.random.default_rng(seed))).float().mean()
                for seed in range(30)
            ]
        )
        for s in (0.3, 0.6, 1.0)
    ]
    assert shares == sorted(shares)
    assert 0.35 < shares[-1] < 0.55


def test_frames_one_by_one_get_what_the_clip_gets() -> None:
    whole = occlude(WHITE, 0.7, np.random.default_rng(4))
    single = [
        occlude(frame, 0.7, np.random.default_rng(4), start=t) for t, frame in enumerate(WHITE)
    ]
    assert torch.equal(whole, torch.stack(single))
    assert not torch.equal(whole[0], whole[5]), "nothing moves"
    tail = occlude(WHITE[3:], 0.7, np.random.default_rng(4), start=3)
    assert torch.equal(tail, whole[3:])


@pytest.mark.parametrize("severity", [0.25, 0.5, 1.0])
def test_a_target_is_covered_by_the_share_asked_for(severity: float) -> None:
    targets = np.tile([[40.0, 30.0, 80.0, 60.0]], (6, 1, 1))
    mask = covered(occlude(WHITE, severity, np.random.default_rng(0), targets=targets))
    share = mask[:, 30:60, 40:80].float().mean(dim=(1, 2))
    assert torch.all((share - severity).abs() < 0.13), share
    y, x = np.mgrid[30:60, 40:80] + 0.5
    ellipse = torch.from_numpy(((x - 60) / 20) ** 2 + ((y - 45) / 15) ** 2 < 1)
    hidden = bool(mask[:, 30:60, 40:80][:, ellipse].all())
    assert hidden == (severity == 1.0)


def test_targets_that_do_not_fit_the_frames_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(6,n,4\)"):
        occlude(WHITE, 0.5, np.random.default_rng(0), targets=np.zeros((5, 1, 4)))


def test_no_target_no_occluder() -> None:
    same = occlude(WHITE, 0.5, np.random.default_rng(0), targets=np.zeros((6, 0, 4)))
    assert torch.equal(same, WHITE)
