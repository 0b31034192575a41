"""Degradation as augmentation and as an evaluation sweep."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from stpn_data.degrade import KINDS, Condition, parse_condition, random_degradation, sweep
from stpn_data.errors import DataError

CLIP = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (8, 3, 40, 56), dtype=np.uint8))


def changed(spoiled: torch.Tensor) -> torch.Tensor:
    return (spoiled != CLIP).flatten(1).any(dim=1)


def test_some_frames_are_spoiled_and_their_neighbours_are_not() -> None:
    augment = random_degradation(0.8, clips=1.0, frames=0.5)
    touched = torch.stack([changed(augment(CLIP, np.random.default_rng(s))) for s in range(40)])
    assert 0.4 < touched.float().mean() < 0.6


def test_probabilities_of_zero_and_one_are_exact() -> None:
    never = random_degradation(clips=0.0)
    always = random_degradation(clips=1.0, frames=1.0)
    for seed in range(20):
        assert not changed(never(CLIP, np.random.default_rng(seed))).any()
        # a draw close to severity 0 may leave a frame as it is
        assert changed(always(CLIP, np.random.default_rng(seed))).sum() in (0, 8)
    assert changed(always(CLIP, np.random.default_rng(0))).all()


def test_it_depends_on_the_generator_alone_and_pickles() -> None:
    augment = random_degradation(clips=1.0)
    copy = pickle.loads(pickle.dumps(augment))
    for seed in range(5):
        first = augment(CLIP, np.random.default_rng(seed))
        assert torch.equal(first, copy(CLIP, np.random.default_rng(seed)))
    assert copy == augment


@pytest.mark.parametrize(
    "options", [{"kinds": []}, {"kinds": ["fog"]}, {"clips": 1.5}, {"frames": -1}, {"severity": 2}]
)
def test_settings_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(DataError):
        random_degradation(**options)


def test_a_sweep_starts_clean_and_has_every_kind_at_every_severity() -> None:
    conditions = sweep(severities=(0.0, 0.5, 1.0))
    assert [c.name for c in conditions[:3]] == ["clean", "blur 0.50", "blur 1.00"]
    assert len({c.name for c in conditions}) == len(conditions) == 1 + 2 * len(KINDS)
    assert torch.equal(conditions[0](CLIP, "video"), CLIP)
    with pytest.raises(DataError, match="'fog'"):
        sweep(kinds=["fog"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_of_frames_gets_what_the_clip_gets(kind: str) -> None:
    condition = Condition(kind, 0.7, seed=3)
    whole = condition(CLIP, "val/a")
    single = [condition(frame, "val/a", start=t) for t, frame in enumerate(CLIP)]
    assert torch.equal(whole, torch.stack(single))
    if kind not in ("defocus", "compression"):  # they draw nothing
        assert not torch.equal(whole, condition(CLIP, "val/b"))
        assert not torch.equal(whole, Condition(kind, 0.7, seed=4)(CLIP, "val/a"))


def test_noise_of_two_frames_of_a_stream_differs() -> None:
    still = CLIP[:1].repeat(2, 1, 1, 1)
    spoiled = Condition("noise", 0.5)(still, "val/a")
    assert not torch.equal(spoiled[0], spoiled[1])


def test_options_follow_their_frames() -> None:
    targets = np.tile([[10.0, 10.0, 30.0, 30.0]], (8, 1, 1)) + np.arange(8)[:, None, None]
    condition = Condition("occlusion", 0.9)
    whole = condition(CLIP, "val/a", targets=targets)
    last = condition(CLIP[7], "val/a", start=7, targets=targets[7:])
    assert torch.equal(whole[7], last)


def test_a_condition_is_read_from_a_command_line() -> None:
    assert parse_condition("") is None
    assert parse_condition("blur") == Condition("blur", 1.0)
    assert parse_condition("noise:0.5") == Condition("noise", 0.5)
    for text in ("fog", "blur:2", "blur:much", "blur:nan", ":1"):
        with pytest.raises(DataError, match="expected KIND or KIND:SEVERITY"):
            parse_condition(text)
