"""The support of a clip: what it shows, and that it changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stpn_data.tracking import (
    NO_AUGMENTATION,
    Augmentation,
    Sampling,
    SupportSampling,
    find_targets,
)

from .small import ANY, SMALL, dataset, same


@pytest.mark.parametrize("stage", ["causal", "trident"])
def test_support_settings_leave_the_rest_as_it_is(painted, stage):
    settings = (
        SupportSampling(),
        SupportSampling(count=0),
        SupportSampling(count=5, frames=1, stride=1),
        SupportSampling(dropout=1, swap=0),
        SupportSampling(swap=1),
    )
    for at in range(6):
        usual, *others = (
            dataset(painted, sampling=Sampling(stage), support=support)[0, at]
            for support in settings
        )
        for other in others:
            assert same(usual, other, "support", "valid", "support_labels")
            assert not torch.equal(usual.support, other.support)


def test_support_of_another_video_and_none(painted):
    own, other, none = (
        [dataset(painted, support=support)[0, at] for at in range(8)]
        for support in (
            SupportSampling(swap=0),
            SupportSampling(swap=1),
            SupportSampling(swap=0, dropout=1),
        )
    )
    for clip in own:
        assert clip.support_labels.tolist() in ([clip.label], [])
    for clip in other:
        assert clip.support_labels.tolist() in ([1 - clip.label], [])
    assert any(len(clip.support_labels) for clip in own)
    assert any(len(clip.support_labels) for clip in other)
    for clip in none:
        assert not clip.valid.any()
        assert not clip.support.any()
        assert clip.support_labels.tolist() == []


def test_support_is_seen_as_the_search_crop_is(painted):
    """Grey and flipped alike, bright each on its own."""
    crops = replace(SMALL, centre_jitter=0, scale_jitter=0)
    still = SupportSampling(count=1, swap=0)
    for at in range(10):
        clip, plain = (
            dataset(painted, crops=crops, support=still, augmentation=looks)[0, at]
            for looks in (Augmentation(brightness=0), NO_AUGMENTATION)
        )
        ways = [
            [torch.equal(changed, pixels.flip(-1) if flip else pixels) for flip in (False, True)]
            for changed, pixels in (
                (clip.search, plain.search),
                (clip.support[0], plain.support[0]),
            )
        ]
        assert ways[0] == ways[1]


def test_a_still_image_supports_itself_with_other_jitter(make_index):
    data = dataset(find_targets(make_index((1, 1)), ANY), support=SupportSampling(swap=0))
    clip = data[0, 0]
    assert clip.valid.all()
    assert torch.unique(clip.support, dim=0).shape[0] == 2
    assert not any(torch.equal(clip.search, crop) for crop in clip.support)
