"""Detection on a video, frame by frame: resize, prompt, encode, detect, back to original pixels.

State is a value that the caller holds, so any number of videos share one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpn_core.training import Precision, autocast
from stpn_data.shots import shot_changed
from stpn_data.support import Policy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vod.build import Detector
from stpn_vod.detections import Detections
from stpn_vod.frame_stream import Output, Stream, advance, close_stream, found_in, open_stream
from stpn_vod.network_input import to_network


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found on one frame. Boxes are in pixels of `frame.image`.

    ids: (n,) int64 track numbers from 1, where tracks were asked for (see `stpn_vod.tracks`).
    """

    frame: VideoFrame
    found: Detections
    has_prompt: bool
    ids: Tensor | None = None


@dataclass(frozen=True, eq=False)
class DetectionState:
    """Everything a detection stream knows; its size is bounded by the policy, not by the video.

    waiting: frames taken but not answered, oldest first: as many as the policy looks ahead.
    previous: the last frame, for cuts.
    """

    stream: Stream
    resize: EvalResize
    cuts: bool
    precision: Precision | None = None
    waiting: tuple[VideoFrame, ...] = ()
    previous: Tensor | None = None


def start_detection(
    model: Detector,
    policy: Policy,
    *,
    resize: EvalResize | None = None,
    cuts: bool = True,
    support: Iterable[Tensor] = (),
    precision: Precision | None = None,
) -> DetectionState:
    """A stream before its first frame.

    policy: which frames support which. `UniformPolicy` needs its frames beforehand: `support`, each
    uint8 (3, H, W), all of one size. cuts: frames before a cut, or of another size, do not support
    frames after it. precision: None leaves autocast as the caller has it.
    """
    resize = resize or EvalResize()
    with torch.no_grad(), _precision(model, precision):
        stream = open_stream(model, policy, (_prepare(model, image, resize) for image in support))
    return DetectionState(stream, resize, cuts and stream.policy is not None, precision)


@torch.no_grad()
def detect_step(
    model: Detector, state: DetectionState, frame: VideoFrame
) -> tuple[list[FrameResult], DetectionState]:
    """Take the next frame; return the results that became ready, in order, and the new state."""
    cut = state.previous is not None and shot_changed(state.previous, frame.image)
    if state.stream.policy is not None:  # kept beyond this call: the caller may reuse its buffer
        frame = replace(frame, image=frame.image.clone())
    waiting = (*state.waiting, frame)
    with _precision(model, state.precision):
        network, size = _prepare(model, frame.image, state.resize)
        outputs, stream = advance(model, state.stream, network, size, new_shot=cut)
        results = [_result(model, state.resize, waiting[i], out) for i, out in enumerate(outputs)]
    state = replace(
        state,
        stream=stream,
        waiting=waiting[len(outputs) :],
        previous=frame.image if state.cuts else None,
    )
    return results, state


@torch.no_grad()
def finish_detection(model: Detector, state: DetectionState) -> list[FrameResult]:
    """The video has ended: results of the frames that waited for later ones."""
    with _precision(model, state.precision):
        outputs = close_stream(model, state.stream)
        frames = zip(state.waiting, outputs, strict=True)
        return [_result(model, state.resize, frame, output) for frame, output in frames]


def detect_frames(
    model: Detector,
    frames: Iterable[VideoFrame],
    policy: Policy,
    *,
    resize: EvalResize | None = None,
    cuts: bool = True,
    support: Iterable[Tensor] = (),
    precision: Precision | None = None,
) -> Iterator[FrameResult]:
    """One result per frame, in order; see `start_detection` for the arguments.

    The model must be in evaluation mode; frames go to the device of its weights.
    """
    state = start_detection(
        model, policy, resize=resize, cuts=cuts, support=support, precision=precision
    )
    for frame in frames:
        results, state = detect_step(model, state, frame)
        yield from results
    yield from finish_detection(model, state)


def _precision(model: Detector, precision: Precision | None) -> AbstractContextManager[object]:
    """Entered for each frame: a generator must not leave autocast on in its caller's code."""
    if precision is None:
        return nullcontext()
    return autocast(precision, next(model.parameters()).device)


def _prepare(model: Detector, image: Tensor, resize: EvalResize) -> tuple[Tensor, tuple[int, int]]:
    geometry = resize.geometry((image.shape[1], image.shape[2]))
    return to_network(model, geometry.images(image)), geometry.size


def _result(model: Detector, resize: EvalResize, frame: VideoFrame, output: Output) -> FrameResult:
    original = frame.image.shape[1], frame.image.shape[2]
    geometry = resize.geometry(original)
    found = found_in(model, output, geometry.size).rescale(geometry.scale, original)
    return FrameResult(frame, found.to("cpu"), output.has_prompt)
