"""What is noted on the way of a target."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from stpn_core.explain import PromptMass
from stpn_data.video import VideoFrame
from stpn_vot.explain.follow import follow
from stpn_vot.explain.looks import mass_of, support_of

from ..networks import PROMPTED, TINY, tracker
from ..test_tracker import BOX, SETTINGS, video
from ..test_tracker import follow as track_alone

PLAIN = dataclasses.replace(SETTINGS, prompts=False)


def frames(length: int) -> list[VideoFrame]:
    return [VideoFrame(t, image, t / 25, str(t)) for t, image in enumerate(video(length))]


@pytest.fixture(scope="module")
def way():
    return follow(tracker(), frames(9), BOX, SETTINGS, PLAIN, [5, 7])


def test_results_are_the_tracker_s_with_prompts_and_without(way) -> None:
    assert list(way.results) == track_alone(tracker(), video(9))[0]
    assert list(way.plain) == track_alone(tracker(), video(9), config=PLAIN)[0]
    assert way.results != way.plain


def test_templates_say_where_they_come_from(way) -> None:
    # every frame is good enough; every third one renews, in a free place first
    first, given, *later = way.templates
    assert (first.frame, first.slot, first.start, first.end) == (0, -1, 1, None)
    assert (given.frame, given.slot, given.start) == (0, 0, 1)
    assert [taken.start for taken in later] == [4, 7]
    assert [taken.slot for taken in later] == [1, 0]
    assert given.end == 6
    scores = [result.score for result in way.results]
    for taken in later:
        decayed = {n: scores[n - 1] for n in range(taken.start - 3, taken.start)}
        best, at = -1.0, 0
        for number, score in decayed.items():
            best *= SETTINGS.decay
            if score > best:
                best, at = score, number
        assert taken.frame == at
    assert torch.equal(first.pixels, given.pixels)
    assert not torch.equal(first.pixels, later[0].pixels)


def test_a_template_that_was_not_renewed_is_the_given_one() -> None:
    settings = dataclasses.replace(SETTINGS, threshold=1.0)
    found = follow(tracker(), frames(5), BOX, settings, None, [])
    assert [(taken.frame, taken.start) for taken in found.templates] == [(0, 1), (0, 1), (0, 4)]
    assert found.plain is None


def test_moments_hold_what_the_tracker_saw(way) -> None:
    assert way.support == (0, 2, 4, 6, 8)
    early, late = way.moments
    assert (early.number, late.number) == (5, 7)
    assert tuple(early.support) == early.state.memory.frames == (2, 4)
    assert tuple(late.support) == late.state.memory.frames == (4, 6)
    assert late.result == way.results[6]
    assert torch.equal(late.image, video(9)[7])
    assert torch.equal(early.support[4], late.support[4])
    assert late.crop.shape == (3, 96, 96)


def test_prompts_are_looked_at(way) -> None:
    model = tracker()
    look = support_of(model, way.moments[0])
    assert look is not None
    assert look.tokens == 2 * 6 * 6
    mass = mass_of(model, way.moments[0])
    assert isinstance(mass, list)
    assert [one.block for one in mass][-1] == "stage 3, block 2"
    for one in mass:
        assert isinstance(one, PromptMass)
        assert one.beside is not None
        assert bool(((one.mass + one.beside) < 1).all())
        assert float(one.mass.min()) > 0


def test_without_prompts_there_is_nothing_to_look_at() -> None:
    model = tracker(TINY)
    (moment,) = follow(model, frames(3), BOX, SETTINGS, None, [2]).moments
    assert support_of(model, moment) is None
    assert mass_of(model, moment) == []
    static = dataclasses.replace(PROMPTED, predictor="static")
    model = tracker(static)
    (moment,) = follow(model, frames(3), BOX, SETTINGS, None, [2]).moments
    assert support_of(model, moment) is None
    assert mass_of(model, moment) != []
