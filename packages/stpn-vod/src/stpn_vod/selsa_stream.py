"""SELSA frame by frame: a function from (state, frame) to (outputs, state).

What `stpn_core.streaming` is for prompts, this is for prompts and references: the state is a value,
each frame on the lattice of supports is encoded once without prompts, which gives both, and a cut
ends the support. H x W padded pixels of a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_core.streaming import SupportPolicy, start_stream
from stpn_vod.detections import Detections
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.selsa_memory import ReferenceMemory, SupportFrame, prompts_from, survey_frame

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class SelsaOutput:
    """One answered frame: its number in the stream, what was found in network pixels, and whether
    prompts went in."""

    index: int
    found: Detections
    has_prompt: bool


@dataclass(frozen=True, eq=False)
class SelsaStream:
    """Everything a stream knows; its size is bounded by the policy, not by the video.

    reach: how many frames back from t the support may lie; older ones are forgotten.
    support, prompts: of the latest answer. supported_by: their frame numbers.
    waiting: frames not answered yet with their sizes before padding, oldest first.
    seen: frames taken so far. shot_start: number of the current shot's first frame.
    """

    policy: SupportPolicy | None
    reach: int = 0
    support: tuple[SupportFrame, ...] = ()
    prompts: Prompts | None = None
    supported_by: tuple[int, ...] = ()
    memory: ReferenceMemory = field(default_factory=ReferenceMemory)
    waiting: tuple[tuple[Tensor, Size], ...] = ()
    seen: int = 0
    shot_start: int = 0
    frame_shape: tuple[int, ...] | None = None


def start_selsa(policy: SupportPolicy) -> SelsaStream:
    """A stream before its first frame. Raises InputError for a policy that needs the whole video
    beforehand; see `start_selsa_with`."""
    return SelsaStream(policy, reach=start_stream(policy).reach)


@torch.no_grad()
def start_selsa_with(model: SelsaDetector, support: Iterable[tuple[Tensor, Size]]) -> SelsaStream:
    """A stream in which the same frames support all others, through cuts and all, as the released
    code does with frames spread over the whole video.

    support: frames (3, H, W), normalised, each with its size h, w before padding; encoded one by
    one.
    """
    _require_eval(model)
    frames = tuple(survey_frame(model, frame, size) for frame, size in support)
    return SelsaStream(None, support=frames, prompts=prompts_from(model, frames))


@torch.no_grad()
def selsa_step(
    model: SelsaDetector, state: SelsaStream, frame: Tensor, size: Size, new_shot: bool = False
) -> tuple[list[SelsaOutput], SelsaStream]:
    """Take the next frame (3, H, W), normalised, of `size` h, w before padding; return what became
    ready and the new state.

    Outputs come in order, each `policy.lookahead` frames late at the most. new_shot: the frame is
    the first after a cut; so is a frame of another shape, whether said or not. Raises InputError
    for a frame that is no image, or if the model is in training mode.
    """
    if frame.ndim != 3 or frame.shape[0] != 3:
        raise InputError(f"frame {state.seen} must be (3, H, W), got {tuple(frame.shape)}")
    _require_eval(model)
    outputs: list[SelsaOutput] = []
    if state.frame_shape is not None and (new_shot or frame.shape != state.frame_shape):
        outputs, state = _end_shot(model, state)
    now, policy, memory = state.seen - state.shot_start, state.policy, state.memory
    if policy is not None and policy.is_support(now):
        memory = memory.remember(now, survey_frame(model, frame, size))
    # A frame that stays here beyond this call must not change if the caller reuses its buffer.
    kept = frame.clone() if policy is not None and policy.lookahead else frame
    state = replace(
        state,
        memory=memory,
        waiting=(*state.waiting, (kept, size)),
        seen=state.seen + 1,
        frame_shape=tuple(frame.shape),
    )
    ready, state = _answer(model, state, None)
    return outputs + ready, state


@torch.no_grad()
def finish_selsa(model: SelsaDetector, state: SelsaStream) -> list[SelsaOutput]:
    """The video has ended: answer the frames that still wait for later ones."""
    _require_eval(model)
    return _end_shot(model, state)[0]


def _end_shot(model: SelsaDetector, state: SelsaStream) -> tuple[list[SelsaOutput], SelsaStream]:
    outputs, state = _answer(model, state, state.seen - state.shot_start)
    state = replace(state, memory=ReferenceMemory(), shot_start=state.seen)
    if state.policy is not None:
        state = replace(state, support=(), prompts=None, supported_by=())
    return outputs, state


def _answer(
    model: SelsaDetector, state: SelsaStream, length: int | None
) -> tuple[list[SelsaOutput], SelsaStream]:
    """Detect on the waiting frames that are ready: all if the shot's length is known, else those
    whose lookahead has been seen."""
    lookahead = 0 if state.policy is None else state.policy.lookahead
    outputs = []
    while len(state.waiting) > (lookahead if length is None else 0):
        t = state.seen - state.shot_start - len(state.waiting)
        if state.policy is not None:
            state = _supported(model, state, state.policy.indices(t, length))
            state = replace(state, memory=state.memory.forget_before(t + 1 - state.reach))
        (frame, size), *waiting = state.waiting
        features = model.stpn.encode(frame[None], state.prompts)
        references = [[one.references for one in state.support]]
        (found,) = model.detect(features, torch.tensor([size]), references)
        outputs.append(SelsaOutput(state.shot_start + t, found, state.prompts is not None))
        state = replace(state, waiting=tuple(waiting))
    return outputs, state


def _supported(model: SelsaDetector, state: SelsaStream, indices: Sequence[int]) -> SelsaStream:
    """The state with these support frames; prompts are predicted anew only if they changed."""
    if tuple(indices) == state.supported_by:
        return state
    support = state.memory.gather(indices)
    prompts = prompts_from(model, support)
    return replace(state, support=support, prompts=prompts, supported_by=tuple(indices))


def _require_eval(model: SelsaDetector) -> None:
    if model.training:
        raise InputError("the model is in training mode, where results are random: call .eval()")
