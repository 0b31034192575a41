"""Instances of a video frame by frame: a function from (state, frame) to (results, state).

Whole-video inference averages a slot's class over all frames, the later ones too. A stream gives
each frame the mean of those answered so far, so it never waits for the end of the video, keeps no
masks, and its state does not grow. State is a value: any number of videos share one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpn_core.errors import NumericsError
from stpn_core.streaming import StreamOutput, StreamState, finish, prompts_for, start_stream, step
from stpn_core.training import Precision, autocast
from stpn_data.shots import shot_changed
from stpn_data.support import Policy, UniformPolicy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vis.full_size import full_size_logits
from stpn_vis.instances import Instances
from stpn_vis.linking import LinkState, link
from stpn_vis.network_input import to_network
from stpn_vis.segmenter import Segmenter


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found on one frame; masks are in its pixels. has_prompt: whether prompts went in."""

    frame: VideoFrame
    found: Instances
    has_prompt: bool


@dataclass(frozen=True, eq=False)
class _Waiting:
    frame: VideoFrame
    new_shot: bool


@dataclass(frozen=True, eq=False)
class SegmentationState:
    """Everything a stream knows; its size is bounded by the policy, not by the video.

    waiting: frames taken but not answered, oldest first: as many as the policy looks ahead.
    linked: the slots of the current shot. ids: number of each slot's object, 0 before it was first
    shown; next_id: the next one.
    """

    stream: StreamState
    resize: EvalResize
    cuts: bool
    score: float
    most: int
    precision: Precision | None = None
    waiting: tuple[_Waiting, ...] = ()
    previous: Tensor | None = None
    linked: LinkState | None = None
    ids: tuple[int, ...] = ()
    next_id: int = 1


def start_segmentation(
    model: Segmenter,
    policy: Policy,
    *,
    resize: EvalResize | None = None,
    cuts: bool = True,
    score: float = 0.3,
    most: int = 20,
    support: Iterable[Tensor] = (),
    precision: Precision | None = None,
) -> SegmentationState:
    """A stream before its first frame.

    policy: which frames support which. `UniformPolicy` needs its frames beforehand: `support`, each
    uint8 (3, H, W), all of one size. resize: None for short side 480. cuts: a cut, or a frame of
    another size, ends support and objects. score: an object is shown on a frame if its class has
    this score by then, at most `most` of them, best first. precision: None leaves autocast as the
    caller has it.
    """
    resize = resize or EvalResize(480, 1333)
    with torch.no_grad(), _precision(model, precision):
        if model.stpn.predictor is None:
            stream = start_stream(None)
        elif isinstance(policy, UniformPolicy):
            frames = (_prepare(model, image, resize)[0] for image in support)
            stream = start_stream(None, prompts=prompts_for(model.stpn, frames))
        else:
            stream = start_stream(policy)
    return SegmentationState(stream, resize, cuts, score, most, precision)


@torch.no_grad()
def segment_step(
    model: Segmenter, state: SegmentationState, frame: VideoFrame
) -> tuple[list[FrameResult], SegmentationState]:
    """Take the next frame; return the results that became ready, in order, and the new state."""
    new_shot = state.previous is not None and (
        state.previous.shape != frame.image.shape
        or (state.cuts and shot_changed(state.previous, frame.image))
    )
    frame = replace(frame, image=frame.image.clone())  # the caller may reuse its buffer
    state = replace(state, waiting=(*state.waiting, _Waiting(frame, new_shot)))
    with _precision(model, state.precision):
        network, _ = _prepare(model, frame.image, state.resize)
        outputs, stream = step(model.stpn, state.stream, network, new_shot)
        return _answers(model, replace(state, stream=stream, previous=frame.image), outputs)


@torch.no_grad()
def finish_segmentation(model: Segmenter, state: SegmentationState) -> list[FrameResult]:
    """The video has ended: results of the frames that waited for later ones."""
    with _precision(model, state.precision):
        return _answers(model, state, finish(model.stpn, state.stream))[0]


def segment_frames(
    model: Segmenter,
    frames: Iterable[VideoFrame],
    policy: Policy,
    *,
    resize: EvalResize | None = None,
    cuts: bool = True,
    score: float = 0.3,
    most: int = 20,
    support: Iterable[Tensor] = (),
    precision: Precision | None = None,
) -> Iterator[FrameResult]:
    """One result per frame, in order; see `start_segmentation` for the arguments.

    The model must be in evaluation mode; frames go to the device of its weights.
    """
    state = start_segmentation(
        model, policy, resize=resize, cuts=cuts, score=score, most=most, support=support,
        precision=precision,
    )  # fmt: skip
    for frame in frames:
        results, state = segment_step(model, state, frame)
        yield from results
    yield from finish_segmentation(model, state)


def _answers(
    model: Segmenter, state: SegmentationState, outputs: list[StreamOutput]
) -> tuple[list[FrameResult], SegmentationState]:
    results = []
    for output in outputs:
        first, *rest = state.waiting
        if first.new_shot:
            state = replace(state, linked=None, ids=())
        found, state = _instances(model, replace(state, waiting=tuple(rest)), first.frame, output)
        results.append(FrameResult(first.frame, found, output.has_prompt))
    return results, state


def _instances(
    model: Segmenter, state: SegmentationState, frame: VideoFrame, output: StreamOutput
) -> tuple[Instances, SegmentationState]:
    predictions = model.decode(output.features)
    logits, masks = predictions.logits[0], predictions.masks[0]
    if not (logits.isfinite().all() and masks.isfinite().all()):
        raise NumericsError(
            f"frame {frame.index}: predictions hold NaN or infinity: the weights are damaged, or the "
            "precision is too low for them; try --precision fp32"
        )
    order, linked = link(state.linked, logits, predictions.embeddings[0])
    scores, labels = linked.mean_logits.softmax(-1)[:, :-1].max(-1)
    best = scores.argsort(descending=True, stable=True)[: state.most]
    chosen = best[scores[best] >= state.score]
    original = (frame.image.shape[1], frame.image.shape[2])
    size = state.resize.geometry(original).size
    padded = (masks.shape[-2] * 4, masks.shape[-1] * 4)
    small = masks[order[chosen].to(masks.device)]
    full = (full_size_logits(small, padded, size, original) > 0).cpu()
    visible = full.flatten(1).any(1) if len(full) else torch.zeros(0, dtype=torch.bool)
    chosen, full = chosen[visible], full[visible]
    ids = list(state.ids or (0,) * len(scores))
    next_id = state.next_id
    for slot in chosen.tolist():
        if not ids[slot]:
            ids[slot], next_id = next_id, next_id + 1
    numbers = torch.tensor([ids[slot] for slot in chosen.tolist()], dtype=torch.int64)
    found = Instances(numbers, labels[chosen], scores[chosen], full)
    return found, replace(state, linked=linked, ids=tuple(ids), next_id=next_id)


def _precision(model: Segmenter, precision: Precision | None) -> AbstractContextManager[object]:
    """Entered for each frame: a generator must not leave autocast on in its caller's code."""
    if precision is None:
        return nullcontext()
    return autocast(precision, next(model.parameters()).device)


def _prepare(model: Segmenter, image: Tensor, resize: EvalResize) -> tuple[Tensor, tuple[int, int]]:
    geometry = resize.geometry((image.shape[1], image.shape[2]))
    return to_network(model, geometry.images(image)), geometry.size
