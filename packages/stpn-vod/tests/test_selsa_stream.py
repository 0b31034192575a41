"""Streams of SELSA equal the plain definition, are blind to the future, and bounded."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stpn_core.errors import InputError
from stpn_data.support import OnlinePolicy, Policy, UniformPolicy, WindowPolicy
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.selsa_memory import ReferenceMemory, prompts_from, survey_frame
from stpn_vod.selsa_stream import (
    SelsaOutput,
    SelsaStream,
    finish_selsa,
    selsa_step,
    start_selsa,
    start_selsa_with,
)

ONLINE = OnlinePolicy(count=2, stride=3)
WINDOW = WindowPolicy(per_side=1, stride=3)
EXACT = WindowPolicy(per_side=1, stride=2, exact=True)
SIZE = (32, 30)


def _build(predictor: str | None) -> SelsaDetector:
    torch.manual_seed(0)
    model = build_detector(
        DetectorConfig(
            encoder="swin",
            arch={"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2), "mlp_ratio": 1.0},
            predictor=predictor,
            predictor_options={"num_heads": 2} if predictor else {},
            num_prompts=2,
            head="selsa",
            num_classes=3,
            fpn_channels=8,
            fc_channels=16,
            test_proposals=6,
            max_detections=8,
        )
    ).eval()
    assert isinstance(model, SelsaDetector)
    with torch.no_grad():
        for layer in (model.rpn.objectness, model.rpn.deltas, model.roi.classify):
            layer.weight.normal_(std=0.5)
    return model


MODELS = {name: _build(name) for name in (None, "attention")}
BOTH = pytest.mark.parametrize("predictor", MODELS, ids=["selsa", "stpn_selsa"])


def _video(length: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(length, 3, 32, 32, generator=generator)
    frames[..., SIZE[1] :] = 0
    return list(frames)


def _run(
    model: SelsaDetector, frames: Sequence[Tensor], state: SelsaStream, cuts: Collection[int] = ()
) -> list[SelsaOutput]:
    outputs = []
    for i, frame in enumerate(frames):
        ready, state = selsa_step(model, state, frame, SIZE, new_shot=i in cuts)
        outputs += ready
    return outputs + finish_selsa(model, state)


@torch.no_grad()
def _offline(
    model: SelsaDetector, frames: Sequence[Tensor], policy: Policy, cuts: Collection[int] = ()
) -> list[SelsaOutput]:
    """What a stream must give, said plainly: nothing is remembered from one frame to the next."""
    outputs = []
    for t, frame in enumerate(frames):
        first = max((i for i in cuts if i <= t), default=0)
        end = min((i for i in cuts if i > t), default=len(frames))
        indices = policy.indices(t - first, end - first)
        support = [survey_frame(model, frames[first + i], SIZE) for i in indices]
        prompts = prompts_from(model, support)
        features = model.stpn.encode(frame[None], prompts)
        references = [[one.references for one in support]]
        (found,) = model.detect(features, torch.tensor([SIZE]), references)
        outputs.append(SelsaOutput(t, found, prompts is not None))
    return outputs


def _same(a: Sequence[SelsaOutput], b: Sequence[SelsaOutput]) -> bool:
    return len(a) == len(b) and all(
        x.index == y.index
        and x.has_prompt == y.has_prompt
        and torch.equal(x.found.boxes, y.found.boxes)
        and torch.equal(x.found.scores, y.found.scores)
        for x, y in zip(a, b, strict=True)
    )


@BOTH
@given(
    policy=st.sampled_from([ONLINE, WINDOW, EXACT]),
    length=st.integers(0, 11),
    cuts=st.sets(st.integers(1, 10), max_size=2),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_stream_equals_offline(predictor, policy, length, cuts):
    model, frames = MODELS[predictor], _video(length)
    cuts = {cut for cut in cuts if cut < length}
    streamed = _run(model, frames, start_selsa(policy), cuts)
    assert [output.index for output in streamed] == list(range(length))
    assert _same(streamed, _offline(model, frames, policy, cuts))


@BOTH
def test_support_of_the_same_numbers_is_not_that_of_the_shot_before(predictor):
    """The first shot ends, and the second begins, with support from their frame 3."""
    model, frames = MODELS[predictor], _video(10)
    streamed = _run(model, frames, start_selsa(WINDOW), cuts={6})
    assert WINDOW.indices(5, 6) == WINDOW.indices(0, 4) == [3]
    assert _same(streamed, _offline(model, frames, WINDOW, cuts={6}))


@BOTH
def test_support_and_cuts_do_act(predictor):
    """Negative control of the test above: other support, or none, gives other numbers."""
    model, frames = MODELS[predictor], _video(8)
    streamed = _run(model, frames, start_selsa(WINDOW))
    assert all(len(output.found) for output in streamed)
    assert not _same(streamed, _offline(model, frames, ONLINE))
    assert not _same(streamed, _offline(model, frames, WINDOW, cuts={4}))
    assert [output.has_prompt for output in streamed] == [predictor is not None] * 8


@BOTH
def test_stream_equals_the_detector_on_a_clip(predictor):
    model, frames = MODELS[predictor], _video(8)
    streamed = _run(model, frames, start_selsa(WINDOW))
    t = 4
    support = torch.stack([frames[i] for i in WINDOW.indices(t, 8)])[None]
    (found,) = model(frames[t][None], torch.tensor([SIZE]), support)
    torch.testing.assert_close(streamed[t].found.boxes, found.boxes, atol=1e-3, rtol=0)
    torch.testing.assert_close(streamed[t].found.scores, found.scores, atol=1e-5, rtol=0)


@BOTH
def test_the_future_changes_nothing_online(predictor):
    model, frames = MODELS[predictor], _video(9)
    before = _run(model, frames, start_selsa(ONLINE))
    frames[6] = torch.full_like(frames[6], torch.nan)
    after = _run(model, frames, start_selsa(ONLINE))
    assert _same(before[:6], after[:6])
    assert not _same(before[6:], after[6:]), "control: the frame itself does change"


@BOTH
def test_the_memory_is_bounded(predictor):
    model = MODELS[predictor]
    for policy in (ONLINE, WINDOW, EXACT):
        state, held, waiting = start_selsa(policy), [], []
        for frame in _video(24):
            _, state = selsa_step(model, state, frame, SIZE)
            held.append(len(state.memory.indices))
            waiting.append(len(state.waiting))
        reach = state.reach + policy.lookahead + 1
        assert max(held) <= (reach if policy is EXACT else reach // 3 + 1)
        assert max(held[:12]) == max(held[12:]), "it does not grow with the video"
        assert max(waiting) == policy.lookahead


def test_a_state_is_a_value():
    """It can be stepped from twice, and a copy goes on where it was made."""
    model, frames = MODELS["attention"], _video(9)
    state = start_selsa(WINDOW)
    for frame in frames[:5]:
        _, state = selsa_step(model, state, frame, SIZE)
    twin = copy.deepcopy(state)
    first = _run(model, frames[5:], state)
    assert _same(first, _run(model, frames[5:], state))
    assert _same(first, _run(model, frames[5:], twin))


def test_each_lattice_frame_is_encoded_once_more():
    """And prompts are predicted once for each set of support frames."""
    model, passes, predicted = MODELS["attention"], [], []
    embed, predictor = model.stpn.encoder.body.patch_embed, model.stpn.predictor
    with (
        embed.register_forward_hook(lambda *_: passes.append(1)),
        predictor.register_forward_hook(lambda *_: predicted.append(1)),
    ):
        _run(model, _video(9), start_selsa(ONLINE))
    assert len(passes) == 9 + 3
    assert len(predicted) == len({tuple(ONLINE.indices(t, 9)) for t in range(1, 9)}) == 3


def test_a_reused_frame_buffer_is_no_trap():
    model, frames = MODELS[None], _video(8)
    expected = _run(model, frames, start_selsa(WINDOW))
    buffer, state, outputs = torch.empty_like(frames[0]), start_selsa(WINDOW), []
    for frame in frames:
        buffer.copy_(frame)
        ready, state = selsa_step(model, state, buffer, SIZE)
        outputs += ready
    assert _same(outputs + finish_selsa(model, state), expected)


@BOTH
def test_given_frames_support_all_others(predictor):
    model, frames = MODELS[predictor], _video(7)
    policy = UniformPolicy(3)
    chosen = [(frames[i], SIZE) for i in policy.indices(0, 7)]
    streamed = _run(model, frames, start_selsa_with(model, chosen), cuts={3})
    assert _same(streamed, _offline(model, frames, policy))
    alone = _run(model, frames, start_selsa_with(model, []))
    assert not _same(streamed, alone), "control"


def test_a_frame_of_another_shape_starts_a_shot():
    model = MODELS["attention"]
    small, large = _video(4), [torch.randn(3, 64, 32) for _ in range(3)]
    streamed = _run(model, [*small, *large], start_selsa(ONLINE))
    prompted = [output.has_prompt for output in streamed]
    assert prompted == [False, True, True, True, False, True, True]


def test_what_cannot_be_streamed_is_refused():
    model, frames = MODELS[None], _video(2)
    with pytest.raises(InputError, match="needs the whole video"):
        start_selsa(UniformPolicy(3))
    with pytest.raises(InputError, match=r"frame 0 must be \(3, H, W\)"):
        selsa_step(model, start_selsa(ONLINE), frames[0][None], SIZE)
    with pytest.raises(InputError, match="training mode"):
        selsa_step(copy.deepcopy(model).train(), start_selsa(ONLINE), frames[0], SIZE)
    with pytest.raises(InputError, match=r"support frames \[5\] are not in memory \(it holds \[\]"):
        ReferenceMemory().gather([5])
    frame = survey_frame(model, frames[0], SIZE)
    with pytest.raises(InputError, match="frame 3 comes after frame 3 in this memory"):
        ReferenceMemory().remember(3, frame).remember(3, frame)
