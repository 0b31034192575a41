"""Prompted encoding of a video frame by frame: a function from (state, frame) to (outputs, state).

The state is a value. Nothing is kept on a module, so any number of streams share one set of
weights, and a state can be stored, copied, or stepped from twice.

Each frame is encoded once with prompts, and once without if it is to support others: for supports
on a lattice of stride S that makes 1 + 1/S passes per frame.

A cut ends the support: frames of another shot would prompt with a foreign scene. Each shot is a
video of its own, in which the policy counts frames from 0.

Shapes: H x W pixels of a frame, P prompts, D their width.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_core.features import Features
from stpn_core.memory import SupportMemory
from stpn_core.stpn import STPN
from stpn_core.support_policy import SupportPolicy as SupportPolicy
from stpn_core.support_policy import reach


@dataclass(frozen=True, eq=False)
class StreamOutput:
    """One answered frame: its number in the stream, its features with batch size 1, and whether
    prompts went in (a shot's first frames may have no support).
    """

    index: int
    features: Features
    has_prompt: bool


@dataclass(frozen=True, eq=False)
class StreamState:
    """Everything a stream knows; its size is bounded by the policy, not by the video.

    reach: how many frames back from t the support may lie; older ones are forgotten.
    prompts, prompted_by: the latest prompts and the support frames they were predicted from.
    memory: support tokens. waiting: frames not answered yet, oldest first.
    seen: frames taken so far. shot_start: number of the current shot's first frame.
    """

    policy: SupportPolicy | None
    reach: int = 0
    prompts: Prompts | None = None
    prompted_by: tuple[int, ...] = ()
    memory: SupportMemory = field(default_factory=SupportMemory)
    waiting: tuple[Tensor, ...] = ()
    seen: int = 0
    shot_start: int = 0
    frame_shape: tuple[int, ...] | None = None


def start_stream(policy: SupportPolicy | None, *, prompts: Prompts | None = None) -> StreamState:
    """A stream before its first frame.

    policy: None encodes every frame with `prompts` as given, through cuts and all (without any if
    that is None). A video with random access gets the prompts of the released code that way:
    `prompts_for` frames spread over all of it.
    """
    if policy is not None and prompts is not None:
        raise InputError("a stream takes a policy or prompts, not both")
    if policy is not None and policy.lookahead == sys.maxsize:
        raise InputError(
            f"{policy} needs the whole video before its first answer; use "
            "start_stream(None, prompts=prompts_for(stpn, support_frames)), or another policy"
        )
    return StreamState(policy, 0 if policy is None else reach(policy), prompts)


@torch.no_grad()
def step(
    stpn: STPN, state: StreamState, frame: Tensor, new_shot: bool = False
) -> tuple[list[StreamOutput], StreamState]:
    """Take the next frame (3, H, W), normalised; return what became ready and the new state.

    Outputs come in order, each `policy.lookahead` frames late at the most. new_shot: the frame is
    the first after a cut; so is a frame of another size, whether said or not. Raises InputError for
    a frame of another shape, or if the model is in training mode.
    """
    if frame.ndim != 3 or frame.shape[0] != 3:
        raise InputError(f"frame {state.seen} must be (3, H, W), got {tuple(frame.shape)}")
    _require_eval(stpn)
    outputs: list[StreamOutput] = []
    if state.frame_shape is not None and (new_shot or frame.shape != state.frame_shape):
        outputs, state = _end_shot(stpn, state)
    now = state.seen - state.shot_start
    policy = _policy_in_use(stpn, state)
    memory = state.memory
    if policy is not None and policy.is_support(now):
        memory = memory.remember(now, stpn.embed_support(frame[None, None])[0, 0])
    # A frame that stays here beyond this call must not change if the caller reuses its buffer.
    kept = frame.clone() if policy is not None and policy.lookahead else frame
    state = replace(
        state,
        memory=memory,
        waiting=(*state.waiting, kept),
        seen=state.seen + 1,
        frame_shape=tuple(frame.shape),
    )
    ready, state = _answer(stpn, state, None)
    return outputs + ready, state


@torch.no_grad()
def finish(stpn: STPN, state: StreamState) -> list[StreamOutput]:
    """The video has ended: answer the frames that still wait for later ones."""
    _require_eval(stpn)
    return _end_shot(stpn, state)[0]


@torch.no_grad()
def prompts_for(stpn: STPN, frames: Iterable[Tensor]) -> Prompts | None:
    """Prompts of batch size 1 from support frames (3, H, W) of one size; None without any frame.

    Frames are encoded one by one, so memory does not grow with pixels times frames.
    """
    _require_eval(stpn)
    tokens = [stpn.embed_support(frame[None, None]) for frame in frames]
    return stpn.predict_prompts(torch.cat(tokens, dim=1)) if tokens else None


@torch.no_grad()
def run_offline(
    stpn: STPN, frames: Sequence[Tensor], policy: SupportPolicy, cuts: Collection[int] = ()
) -> list[StreamOutput]:
    """What a stream must give, said plainly: every frame with prompts from its support, nothing
    remembered from one frame to the next.

    frames: each (3, H, W). cuts: numbers of the frames that begin a new shot.
    """
    _require_eval(stpn)
    count = len(frames)
    starts = [i for i in range(1, count) if i in cuts or frames[i].shape != frames[i - 1].shape]
    outputs = []
    for t, frame in enumerate(frames):
        first = max((i for i in starts if i <= t), default=0)
        end = min((i for i in starts if i > t), default=count)
        support = policy.indices(t - first, end - first) if stpn.predictor is not None else []
        prompts = prompts_for(stpn, [frames[first + i] for i in support])
        features = stpn.encode(frame[None], prompts)
        outputs.append(StreamOutput(t, features, prompts is not None))
    return outputs


def _end_shot(stpn: STPN, state: StreamState) -> tuple[list[StreamOutput], StreamState]:
    outputs, state = _answer(stpn, state, state.seen - state.shot_start)
    state = replace(state, memory=SupportMemory(), shot_start=state.seen)
    if state.policy is not None:
        state = replace(state, prompts=None, prompted_by=())
    return outputs, state


def _answer(
    stpn: STPN, state: StreamState, length: int | None
) -> tuple[list[StreamOutput], StreamState]:
    """Encode the waiting frames that are ready: all if the shot's length is known, else those whose
    lookahead has been seen.
    """
    policy = _policy_in_use(stpn, state)
    lookahead = 0 if policy is None else policy.lookahead
    outputs = []
    while len(state.waiting) > (lookahead if length is None else 0):
        t = state.seen - state.shot_start - len(state.waiting)
        if policy is not None:
            state = _prompt(stpn, state, policy.indices(t, length))
            state = replace(state, memory=state.memory.forget_before(t + 1 - state.reach))
        features = stpn.encode(state.waiting[0][None], state.prompts)
        has_prompt = state.prompts is not None
        outputs.append(StreamOutput(state.shot_start + t, features, has_prompt))
        state = replace(state, waiting=state.waiting[1:])
    return outputs, state


def _prompt(stpn: STPN, state: StreamState, indices: Sequence[int]) -> StreamState:
    """The state with prompts from these support frames; predicted anew only if they changed."""
    support = tuple(indices)
    if support == state.prompted_by:
        return state
    prompts = stpn.predict_prompts(state.memory.gather(support)) if support else None
    return replace(state, prompts=prompts, prompted_by=support)


def _policy_in_use(stpn: STPN, state: StreamState) -> SupportPolicy | None:
    return None if stpn.predictor is None else state.policy


def _require_eval(stpn: STPN) -> None:
    if stpn.training:
        raise InputError("the model is in training mode, where results are random: call .eval()")
