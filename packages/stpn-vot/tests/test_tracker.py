"""The tracker: the original's numbers with prompts off, and what must hold with them."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
from torch import Tensor

from stpn_core.errors import InputError, NumericsError
from stpn_vot.tracker import TrackState, check_box, start_tracking, track, track_together
from stpn_vot.tracking_config import TrackingConfig

from .networks import PROMPTED, TINY, golden_tracker, tracker

BOX = (30.0, 20.0, 14.0, 12.0)
OTHER = (55.5, 30.25, 16.0, 20.0)
# every frame counts, whatever a random network says
SETTINGS = TrackingConfig(
    48, 96, interval=3, support_count=2, support_stride=2, threshold=0.0, lost_below=0.0
)


def video(length: int, seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (length, 3, 72, 88), dtype=torch.uint8, generator=generator)


def follow(model, frames, box=BOX, config=SETTINGS):
    state = start_tracking(model, frames[0], box, config)
    results = []
    for frame in frames[1:]:
        result, state = track(model, state, frame)
        results.append(result)
    return results, state


def sizes(state: TrackState) -> list[int]:
    held = [*state.templates.online, state.templates.initial, state.templates.candidate]
    held += [*state.memory.maps, state.cache.first]
    held += [part for block in state.cache.blocks for part in block]
    return [part.untyped_storage().nbytes() for part in held]


def golden_settings(facts) -> TrackingConfig:
    said = facts["tracker"]
    return TrackingConfig(
        said["template_size"],
        said["search_size"],
        template_factor=said["template_factor"],
        search_factor=said["search_factor"],
        clip_margin=said["clip_margin"],
        interval=said["interval"],
        slots=said["online_size"],
        decay=said["score_decay"],
    )


@pytest.mark.parametrize("prompted", [False, True], ids=["twin", "prompts off"])
def test_a_video_is_tracked_as_by_the_original(golden, prompted):
    tensors, facts = golden("vot/tracker_trace")
    model = golden_tracker(tensors, facts)
    config = golden_settings(facts)
    if prompted:
        model.predictor = tracker(PROMPTED).predictor
        config = dataclasses.replace(config, prompts=False)
    frames = tensors["in.video"].permute(0, 3, 1, 2).contiguous()
    x, y, w, h = tensors["in.init_bbox"].tolist()
    results, _ = follow(model, frames, (x, y, w, h), config)
    for result, state, logit in zip(
        results, tensors["out.state"], tensors["out.logit"], strict=True
    ):
        assert result.box == pytest.approx(state.tolist(), abs=1e-3)
        assert result.score == pytest.approx(float(logit.sigmoid()), abs=1e-4)


@pytest.mark.parametrize("support", ["clean", "reuse"])
def test_later_frames_change_nothing_before(support):
    model, frames = tracker(), video(9)
    config = dataclasses.replace(SETTINGS, support=support)
    changed = frames.clone()
    changed[6:] = 255 - changed[6:]
    before, _ = follow(model, frames, config=config)
    after, _ = follow(model, changed, config=config)
    assert before[:5] == after[:5]
    assert before[5:] != after[5:]


def test_a_state_is_a_value():
    model, frames = tracker(), video(6)
    _, state = follow(model, frames[:4])
    first = track(model, state, frames[4])[0]
    track(model, state, frames[5])
    assert track(model, state, frames[4])[0] == first


@pytest.mark.parametrize("support", ["clean", "reuse"])
def test_a_state_does_not_grow(support):
    model, frames = tracker(), video(60)
    config = dataclasses.replace(SETTINGS, support=support)
    _, early = follow(model, frames[:12], config=config)
    _, late = follow(model, frames, config=config)
    assert sizes(late) == sizes(early)
    assert len(late.memory.maps) == 2
    assert len(late.templates.online) == 2


def test_templates_are_encoded_only_when_they_change():
    model, frames = tracker(), video(5)
    state = start_tracking(model, frames[0], BOX, SETTINGS)
    caches = [state.cache]
    for frame in frames[1:]:
        _, state = track(model, state, frame)
        caches.append(state.cache)
    changes = [new is not old for old, new in itertools.pairwise(caches)]
    assert changes == [False, False, True, False], "every third frame"


def test_prompts_change_with_the_support_frames_only():
    model, frames = tracker(), video(8)
    state = start_tracking(model, frames[0], BOX, SETTINGS)
    assert state.memory.frames == (0,)
    kept = [state.memory]
    for frame in frames[1:]:
        _, state = track(model, state, frame)
        kept.append(state.memory)
    assert [memory.frames for memory in kept[-2:]] == [(4, 6), (4, 6)]
    assert kept[-1].prompts is kept[-2].prompts
    assert kept[-2].prompts is not kept[-3].prompts


def test_prompts_matter_and_clean_differs_from_reuse():
    model, frames = tracker(), video(6)
    kinds = [{"prompts": False}, {"support": "clean"}, {"support": "reuse"}]
    found = [follow(model, frames, config=dataclasses.replace(SETTINGS, **kind)) for kind in kinds]
    (plain, _), (clean, before), (_, after) = found
    assert plain[-1].score != clean[-1].score
    # a random network's prompts hardly depend on the maps they come from: look at those
    assert before.memory.frames == after.memory.frames == (2, 4)
    assert not torch.equal(before.memory.maps[-1], after.memory.maps[-1])


def test_clean_support_is_an_unprompted_pass():
    model, frames = tracker(), video(3)
    state = start_tracking(model, frames[0], BOX, SETTINGS)
    calls = []
    embed = model.embed_support
    model.embed_support = lambda crops, cache: calls.append(embed(crops, cache)) or calls[-1]
    for frame in frames[1:]:
        _, state = track(model, state, frame)
    assert len(calls) == 1
    assert torch.equal(state.memory.maps[-1], calls[0][0, 0])


def test_without_trusted_frames_a_tracker_is_mixformer():
    model, frames = tracker(), video(8)
    config = dataclasses.replace(SETTINGS, threshold=1.0)
    results, state = follow(model, frames, config=config)
    assert state.memory.frames == ()
    assert state.memory.prompts is None
    plain = dataclasses.replace(state, config=dataclasses.replace(config, prompts=False))
    assert track(model, state, frames[7])[0] == track(model, plain, frames[7])[0]
    assert len(results) == 7


def test_targets_together_are_as_each_alone():
    model, frames = tracker(), video(9)
    boxes = (BOX, OTHER)
    alone = [follow(model, frames, BOX)[0], follow(model, frames[2:], OTHER)[0]]
    states = [start_tracking(model, frames[0], BOX, SETTINGS)]
    together: list[list] = [[], []]
    for index, frame in enumerate(frames):
        if index == 0:
            continue
        answers = track_together(model, states, frame)
        states = [state for _, state in answers]
        for found, (result, _) in zip(together, answers, strict=False):
            found.append(result)
        if index == 2:
            states.append(start_tracking(model, frame, boxes[1], SETTINGS))
    for some, others in zip(alone, together, strict=True):
        assert len(some) == len(others)
        for one, other in zip(some, others, strict=True):
            assert one.box == pytest.approx(other.box, abs=1e-2)
            assert one.score == pytest.approx(other.score, abs=1e-4)


def test_a_tracker_without_score_head_gives_boxes():
    model, frames = tracker(dataclasses.replace(TINY, score=False)), video(5)
    results, state = follow(model, frames)
    assert [(result.score, result.lost) for result in results] == [(None, False)] * 4
    assert len(state.templates.online) == 1


@pytest.mark.parametrize(
    ("box", "word"),
    [
        ((0, 0, 0, 10), "greater than 0"),
        ((0, 0, 10, -1), "greater than 0"),
        ((0, 0, 1e-200, 1e-200), "greater than 0"),
        ((0, 0, 1e200, 10), "ten times"),
        ((math.nan, 0, 10, 10), "finite"),
        ((0, 0, math.inf, 10), "finite"),
        ((88, 0, 10, 10), "outside"),
        ((-10, 0, 10, 10), "outside"),
    ],
)
def test_impossible_boxes_are_refused(box, word):
    with pytest.raises(InputError, match=word) as caught:
        start_tracking(tracker(TINY), video(1)[0], box, SETTINGS)
    assert caught.value.exit_code == 2


def test_a_box_partly_outside_is_one():
    assert check_box((-9, 71, 10, 10), 72, 88) == (-9, 71, 10, 10)


def test_impossible_settings_and_frames_are_refused():
    model, frame = tracker(TINY), video(1)[0]
    for change, word in (
        ({"search_size": 0}, "search_size"),
        ({"search_size": 50}, "multiple of 16"),
        ({"slots": 0}, "slots"),
        ({"decay": 1.5}, "decay"),
    ):
        with pytest.raises(InputError, match=word):
            start_tracking(model, frame, BOX, dataclasses.replace(SETTINGS, **change))
    for bad in (frame.float(), frame[0], frame[:, :0]):
        with pytest.raises(InputError, match="uint8"):
            start_tracking(model, bad, BOX, SETTINGS)


def test_damaged_weights_are_named():
    model, frames = tracker(TINY), video(2)
    state = start_tracking(model, frames[0], BOX, SETTINGS)
    with torch.no_grad():
        next(model.box_head.parameters()).fill_(math.nan)
    with pytest.raises(NumericsError, match="frame 1"):
        track(model, state, frames[1])
