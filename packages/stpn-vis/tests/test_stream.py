"""Frame by frame: causal, equal to looking at the stored video, stable numbers, bounded state."""

from __future__ import annotations

import pickle

import pytest
import torch

from stpn_core.errors import NumericsError
from stpn_data.support import OnlinePolicy, UniformPolicy, WindowPolicy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vis.inference import predict_frames
from stpn_vis.linking import link
from stpn_vis.stream import finish_segmentation, segment_frames, segment_step, start_segmentation

from .test_inference import RESIZE, pictures, stored
from .tiny import segmenter

OPTIONS = {"resize": RESIZE, "score": 0.0, "most": 5}


def frames_of(images) -> list[VideoFrame]:
    return [
        VideoFrame(t, torch.from_numpy(image).permute(2, 0, 1).contiguous(), t / 25, f"frame {t}")
        for t, image in enumerate(images)
    ]


def same(one, other) -> bool:
    names = ("ids", "labels", "scores", "masks")
    return one.has_prompt == other.has_prompt and all(
        torch.equal(getattr(one.found, name), getattr(other.found, name)) for name in names
    )


@pytest.mark.parametrize("policy", [WindowPolicy(1, 2), OnlinePolicy(2, 2)])
def test_the_last_frame_knows_what_the_whole_video_knows(tmp_path, policy):
    model, images = segmenter(), pictures(6)
    results = list(segment_frames(model, frames_of(images), policy, cuts=False, **OPTIONS))
    assert [result.frame.index for result in results] == list(range(6))
    assert any(result.has_prompt for result in results)
    state = None
    for _, _, found in predict_frames(model, stored(tmp_path, images), policy):
        _, state = link(state, found.logits[0], found.embeddings[0])
    scores = state.mean_logits.softmax(-1)[:, :-1].amax(-1).sort(descending=True).values
    shown = results[-1].found.scores
    assert len(shown)
    assert all(torch.isclose(scores, one, atol=1e-6).any() for one in shown)


def test_later_frames_change_nothing_online():
    model, images = segmenter(), pictures(7)
    other = images.copy()
    other[4:] = pictures(3, seed=9)
    policy = OnlinePolicy(2, 2)
    one = list(segment_frames(model, frames_of(images), policy, **OPTIONS))
    two = list(segment_frames(model, frames_of(other), policy, **OPTIONS))
    assert all(same(a, b) for a, b in zip(one[:4], two[:4], strict=True))
    assert not all(same(a, b) for a, b in zip(one[4:], two[4:], strict=True))


def test_the_state_is_a_value_that_can_be_kept_and_continued():
    model, frames = segmenter(), frames_of(pictures(6))
    expected = list(segment_frames(model, frames, WindowPolicy(1, 2), **OPTIONS))
    state = start_segmentation(model, WindowPolicy(1, 2), **OPTIONS)
    results = []
    for frame in frames:
        results += segment_step(model, state, frame)[0]
        state = pickle.loads(pickle.dumps(segment_step(model, state, frame)[1]))
    results += finish_segmentation(model, state)
    assert all(same(a, b) for a, b in zip(results, expected, strict=True))


def test_a_reused_buffer_does_no_harm():
    model, frames = segmenter(), frames_of(pictures(5))
    expected = list(segment_frames(model, frames, WindowPolicy(1, 2), **OPTIONS))
    buffer = frames[0].image.clone()

    def camera():
        for frame in frames:
            buffer.copy_(frame.image)
            yield VideoFrame(frame.index, buffer, frame.time, frame.name)

    results = segment_frames(model, camera(), WindowPolicy(1, 2), **OPTIONS)
    assert all(same(a, b) for a, b in zip(results, expected, strict=True))


def test_a_cut_numbers_objects_anew_and_no_cut_keeps_them():
    model = segmenter()
    dark, bright = pictures(3) // 8, 200 + pictures(3, seed=1) // 8
    frames = frames_of([*dark, *bright])
    kept = list(segment_frames(model, frames, OnlinePolicy(2, 1), cuts=False, **OPTIONS))
    anew = list(segment_frames(model, frames, OnlinePolicy(2, 1), cuts=True, **OPTIONS))
    ids = [{i for r in part for i in r.found.ids.tolist()} for part in (anew[:3], anew[3:])]
    assert ids[0]
    assert ids[1]
    assert not ids[0] & ids[1]
    assert not anew[3].has_prompt
    assert kept[3].has_prompt
    every = {i for r in kept for i in r.found.ids.tolist()}
    assert max(every) <= 6
    alone = list(segment_frames(model, frames[3:], OnlinePolicy(2, 1), **OPTIONS))
    assert torch.equal(alone[0].found.masks, anew[3].found.masks)


def test_a_frame_of_another_size_is_another_shot():
    model = segmenter()
    frames = frames_of([*pictures(2), *pictures(2, size=(52, 36))])
    results = list(segment_frames(model, frames, WindowPolicy(1, 1), cuts=False, **OPTIONS))
    assert [tuple(r.found.masks.shape[1:]) for r in results] == [(36, 52)] * 2 + [(52, 36)] * 2


def test_given_support_prompts_every_frame():
    model, frames = segmenter(), frames_of(pictures(3))
    support = [frame.image for frame in frames]
    given = list(segment_frames(model, frames, UniformPolicy(3), support=support, **OPTIONS))
    assert all(result.has_prompt for result in given)
    without = list(segment_frames(model, frames, UniformPolicy(3), **OPTIONS))
    assert not any(result.has_prompt for result in without)


def test_the_threshold_and_the_limit_hold():
    model, frames = segmenter(), frames_of(pictures(2))
    options = {"resize": EvalResize(48, 96)}
    policy = OnlinePolicy(2, 1)
    assert not any(
        len(r.found) for r in segment_frames(model, frames, policy, score=1.0, **options)
    )
    shown = list(segment_frames(model, frames, policy, score=0.0, most=2, **options))
    assert 0 < max(len(r.found) for r in shown) <= 2


def test_state_does_not_grow():
    model, frames = segmenter(), frames_of(pictures(4))
    state = start_segmentation(model, OnlinePolicy(2, 2), **OPTIONS)
    sizes = []
    for t in range(24):
        frame = frames[t % 4]
        _, state = segment_step(model, state, VideoFrame(t, frame.image, 0.0, ""))
        sizes.append(len(pickle.dumps(state)))
    assert max(sizes[12:]) <= max(sizes[4:12]) + 64


def test_a_broken_model_is_an_error_that_names_the_frame():
    model, frames = segmenter(), frames_of(pictures(2))
    with torch.no_grad():
        model.decoder.classifier.bias[0] = torch.inf
    with pytest.raises(NumericsError, match="frame 0"):
        list(segment_frames(model, frames, OnlinePolicy(), **OPTIONS))
