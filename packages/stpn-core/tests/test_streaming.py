"""Streams equal the plain definition, are blind to the future, and bounded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stpn_core.encoder import create_encoder
from stpn_core.errors import InputError
from stpn_core.predictors import create_predictor
from stpn_core.stpn import STPN
from stpn_core.streaming import (
    StreamOutput,
    SupportPolicy,
    finish,
    prompts_for,
    run_offline,
    start_stream,
    step,
)

from .stream_toys import POLICIES, Exact, Online, Whole, Window, build, run, same, video


@pytest.fixture(scope="module")
def stpn() -> STPN:
    return build()


@given(
    policy=st.sampled_from(POLICIES),
    length=st.integers(0, 26),
    cuts=st.sets(st.integers(0, 26), max_size=3),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_stream_equals_offline(policy: SupportPolicy, length: int, cuts: set[int]) -> None:
    stpn = build()
    frames = video(length)
    streamed = run(stpn, frames, start_stream(policy), cuts)
    assert [output.index for output in streamed] == list(range(length))
    assert same(streamed, run_offline(stpn, frames, policy, cuts))


@pytest.mark.parametrize("predictor", ["mixer", "attention", "average", "static"])
def test_stream_equals_offline_for_every_predictor(predictor: str) -> None:
    stpn, frames = build(predictor), video(14)
    streamed = run(stpn, frames, start_stream(Window()))
    assert any(output.has_prompt for output in streamed)
    assert same(streamed, run_offline(stpn, frames, Window()))


def test_swin_streams() -> None:
    torch.manual_seed(0)
    encoder = create_encoder("swin", embed_dim=8, depths=(2, 1), num_heads=(1, 2), mlp_ratio=2.0)
    predictor = create_predictor(
        "transformer", support_dim=encoder.support_dim, prompt_dims=encoder.prompt_dim, num_heads=2
    )
    stpn, frames = STPN(encoder, predictor).eval(), video(14, size=45)
    assert same(run(stpn, frames, start_stream(Window())), run_offline(stpn, frames, Window()))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_stream_on_a_gpu() -> None:
    stpn, frames = build().cuda(), [frame.cuda() for frame in video(14)]
    assert same(run(stpn, frames, start_stream(Window())), run_offline(stpn, frames, Window()))


def test_deep_prompts_stream() -> None:
    stpn, frames = build(deep=True), video(14)
    assert same(run(stpn, frames, start_stream(Window())), run_offline(stpn, frames, Window()))


def test_online_never_looks_ahead(stpn: STPN) -> None:
    frames = video(14)
    changed = [*frames[:9], *video(5, seed=1)]

    def before_the_change(policy: SupportPolicy) -> list[list[StreamOutput]]:
        return [run(stpn, f, start_stream(policy))[:9] for f in (frames, changed)]

    assert same(*before_the_change(Online()))
    # A policy that looks ahead must show the change, or this test sees nothing.
    assert not same(*before_the_change(Window()))


def test_an_online_frame_is_answered_at_once(stpn: STPN) -> None:
    state = start_stream(Online())
    for i, frame in enumerate(video(6)):
        outputs, state = step(stpn, state, frame)
        assert [output.index for output in outputs] == [i]
    assert finish(stpn, state) == []


def test_a_window_frame_waits_for_its_lookahead_and_no_longer(stpn: STPN) -> None:
    policy, state = Window(), start_stream(Window())
    for i, frame in enumerate(video(12)):
        outputs, state = step(stpn, state, frame)
        assert [output.index for output in outputs] == [i - policy.lookahead][: i >= 8]
    assert [output.index for output in finish(stpn, state)] == list(range(4, 12))


class Counted:
    """Counts the passes through a model's encoder, and its predictions."""

    def __init__(self, stpn: STPN, monkeypatch: pytest.MonkeyPatch) -> None:
        self.embedded, self.encoded, self.predicted = 0, 0, 0
        embed, encode, predict = stpn.embed_support, stpn.encode, stpn.predict_prompts

        def count(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **kwargs: Any) -> Any:
                setattr(self, name, getattr(self, name) + 1)
                return function(*args, **kwargs)

            return counted

        monkeypatch.setattr(stpn, "embed_support", count("embedded", embed))
        monkeypatch.setattr(stpn, "encode", count("encoded", encode))
        monkeypatch.setattr(stpn, "predict_prompts", count("predicted", predict))


@pytest.mark.parametrize("policy", [Window(7, 8), Online(14, 8)], ids=["window", "online"])
def test_passes_per_frame(policy: SupportPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    stpn, length = build(), 163
    counted = Counted(stpn, monkeypatch)
    run(stpn, video(length), start_stream(policy))
    assert counted.encoded == length
    assert counted.embedded == -(-length // 8)
    # The support changes when t passes a lattice frame and, for a window, when it stands on one.
    assert counted.predicted <= 2 * -(-length // 8) + 1


def test_without_predictor_nothing_waits_and_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stpn = build(predictor=None)
    counted = Counted(stpn, monkeypatch)
    outputs, state = step(stpn, start_stream(Window()), video(1)[0])
    assert [output.has_prompt for output in outputs] == [False]
    assert (counted.embedded, counted.encoded, state.memory.indices) == (0, 1, ())


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_state_is_bounded(stpn: STPN, policy: SupportPolicy) -> None:
    state = start_stream(policy)
    held = []
    for frame in video(60):
        _, state = step(stpn, state, frame)
        assert len(state.waiting) <= policy.lookahead
        held.append(len(state.memory.indices))
    assert max(held) <= 7
    assert max(held[:30]) == max(held)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_state_is_a_value(stpn: STPN, policy: SupportPolicy) -> None:
    """Saved and restored at every frame, and stepped from twice with something else in between."""
    frames, state, outputs = video(20), start_stream(policy), []
    for frame in frames:
        restored = copy.deepcopy(state)
        step(stpn, state, torch.full_like(frame, torch.nan), new_shot=True)
        first, _ = step(stpn, state, frame)
        ready, state = step(stpn, restored, frame)
        assert same(first, ready)
        outputs += ready
    outputs += finish(stpn, state)
    assert same(outputs, run_offline(stpn, frames, policy))


def test_a_reused_frame_buffer_does_no_harm(stpn: STPN) -> None:
    frames, state, outputs = video(12), start_stream(Window()), []
    buffer = torch.empty_like(frames[0])
    for frame in frames:
        ready, state = step(stpn, state, buffer.copy_(frame))
        outputs += ready
    outputs += finish(stpn, state)
    assert same(outputs, run_offline(stpn, frames, Window()))


# The window's case is the one where both sides of the cut have equal support indices.
@pytest.mark.parametrize(("policy", "at"), [(Online(), 9), (Window(), 10), (Exact(), 9)])
def test_a_cut_ends_the_support(stpn: STPN, policy: SupportPolicy, at: int) -> None:
    frames = video(19)
    other = [*video(at, seed=1), *frames[at:]]

    def after_the_cut(cuts: Collection[int]) -> list[list[StreamOutput]]:
        return [run(stpn, f, start_stream(policy), cuts)[at:] for f in (frames, other)]

    assert same(*after_the_cut({at}))
    assert not same(*after_the_cut(()))
    alone = run(stpn, frames[at:], start_stream(policy))
    cut = after_the_cut({at})[0]
    assert [o.has_prompt for o in cut] == [o.has_prompt for o in alone]
    assert all(
        torch.equal(a.features.maps[0], b.features.maps[0]) for a, b in zip(cut, alone, strict=True)
    )


def test_a_frame_of_another_size_begins_a_shot(stpn: STPN) -> None:
    frames = [*video(6), *video(7, size=48)]
    streamed = run(stpn, frames, start_stream(Window()))
    assert same(streamed, run(stpn, frames, start_stream(Window()), cuts={6}))
    assert same(streamed, run_offline(stpn, frames, Window()))
    assert streamed[6].features.maps[0].shape[-2:] == (3, 3)


def test_prompts_of_the_whole_video(stpn: STPN) -> None:
    frames = video(9)
    prompts = prompts_for(stpn, [frames[0], frames[4], frames[8]])
    streamed = run(stpn, frames, start_stream(None, prompts=prompts), cuts={3})
    assert all(output.has_prompt for output in streamed)
    assert same(streamed, run_offline(stpn, frames, Whole()))


def test_no_policy_and_no_prompts_is_the_plain_encoder(stpn: STPN) -> None:
    frames = video(2)
    streamed = run(stpn, frames, start_stream(None))
    with torch.no_grad():
        plain = [stpn(frame[None]) for frame in frames]
    assert not any(output.has_prompt for output in streamed)
    assert all(
        torch.equal(o.features.maps[0], p.maps[0]) for o, p in zip(streamed, plain, strict=True)
    )
    assert prompts_for(stpn, []) is None


def test_what_a_stream_refuses(stpn: STPN) -> None:
    frame = video(1)[0]
    with pytest.raises(InputError, match="needs the whole video before its first answer"):
        start_stream(Whole())
    with pytest.raises(InputError, match="not both"):
        start_stream(Online(), prompts=torch.zeros(1, 3, 16))
    with pytest.raises(InputError, match=r"frame 0 must be \(3, H, W\)"):
        step(stpn, start_stream(Online()), frame[None])
    training = build().train()
    with pytest.raises(InputError, match="training mode"):
        step(training, start_stream(Online()), frame)


def test_a_policy_that_asks_for_frames_it_denies(stpn: STPN) -> None:
    @dataclass(frozen=True)
    class Denying(Online):
        def is_support(self, t: int) -> bool:
            return t > 0

    with pytest.raises(InputError, match=r"support frames \[0\] are not in memory"):
        run(stpn, video(3), start_stream(Denying()))
