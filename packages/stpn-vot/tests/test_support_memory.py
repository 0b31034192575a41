"""Support frames come, and go when they are too old; prompts follow them."""

from __future__ import annotations

import dataclasses

import torch

from stpn_vot.mixformer import Located, MixFormer
from stpn_vot.prompt_rows import join_prompts
from stpn_vot.support_memory import SupportMemory, remember
from stpn_vot.tracker import start_tracking, track, track_together
from stpn_vot.tracking_config import TrackingConfig

from .networks import PROMPTED, images, tracker
from .test_tracker import BOX, OTHER, SETTINGS, video

DEEP = dataclasses.replace(PROMPTED, deep=True)


def predict(model: MixFormer):
    return lambda maps: model.predict_prompts(torch.stack(maps)[None])


@torch.no_grad()
def test_a_frame_leaves_when_it_is_too_old():
    model, memory = tracker(), SupportMemory()
    seen = []
    for frame, trusted in enumerate([True, False, True, False, False, False]):
        found = images(6, 6, 16, seed=frame) if trusted else None
        following = remember(memory, 8 * frame, found, predict(model), count=3, stride=8)
        assert (following is memory) == (following.frames == memory.frames)
        memory = following
        seen.append(memory.frames)
    assert seen == [(0,), (0,), (0, 16), (16,), (16,), ()]
    assert memory.prompts is None


@torch.no_grad()
def test_rows_without_prompts_are_marked():
    for config in (PROMPTED, DEEP):
        model = tracker(config)
        some = remember(SupportMemory(), 0, images(6, 6, 16), predict(model), count=3, stride=8)
        joined, marked = join_prompts([SupportMemory(), some])
        assert marked.tolist() == [False, True]
        parts = [joined] if isinstance(joined, torch.Tensor) else joined
        wanted = [some.prompts] if isinstance(some.prompts, torch.Tensor) else some.prompts
        for part, one in zip(parts, wanted, strict=True):
            assert torch.equal(part[1:], one)
            assert not part[0].any()
    assert join_prompts([SupportMemory()])[0] is None


def test_a_target_without_support_frames_is_mixformer_beside_one_with():
    for config in (PROMPTED, DEEP):
        model, frames = tracker(config), video(2)
        states = [start_tracking(model, frames[0], box, SETTINGS) for box in (BOX, OTHER)]
        states[0] = dataclasses.replace(states[0], memory=SupportMemory())
        answers = track_together(model, states, frames[1])
        for state, (result, _) in zip(states, answers, strict=True):
            alone = track(model, state, frames[1])[0]
            assert torch.allclose(torch.tensor(result.box), torch.tensor(alone.box), atol=1e-2)
            assert abs(result.score - alone.score) < 1e-4


def test_what_is_found_at_another_scale_is_no_support_frame():
    model, frames = tracker(), video(5)
    scores = iter([0.1, 0.1, 0.9, 0.9])
    box = torch.tensor([[0.4, 0.4, 0.6, 0.6]])
    model.locate = lambda features, cache: Located(box, torch.tensor([next(scores)]).logit())
    config = TrackingConfig(48, 96, patience=1, redetect=True, support_stride=1)
    state = start_tracking(model, frames[0], BOX, config)
    kept = []
    for frame in frames[1:]:
        _, state = track(model, state, frame)
        kept.append(state.memory.frames)
    # frame 2 looks where the target was, frame 3 around there, frame 4 as usual again
    assert kept == [(0,), (0,), (0,), (0, 4)]
