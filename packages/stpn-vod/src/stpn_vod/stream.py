"""Detection on a video, frame by frame: resize, prompt, encode, detect, back to original pixels.

State is a value that the caller holds, so any number of videos share one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpn_core.streaming import StreamOutput, StreamState, finish, prompts_for, start_stream, step
from stpn_data.shots import shot_changed
from stpn_data.support import Policy, UniformPolicy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN
from stpn_vod.network_input import to_network


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found on one frame. Boxes are in pixels of `frame.image`."""

    frame: VideoFrame
    found: Detections
    has_prompt: bool


@dataclass(frozen=True, eq=False)
class DetectionState:
    """Everything a detection stream knows.

    waiting: frames taken but not answered, oldest first. previous: the last frame, for cuts.
    """

    stream: StreamState
    resize: EvalResize
    cuts: bool
    waiting: tuple[VideoFrame, ...] = ()
    previous: Tensor | None = None


def start_detection(
    model: FasterRCNN,
    policy: Policy,
    *,
    resize: EvalResize | None = None,
    cuts: bool = True,
    support: Iterable[Tensor] = (),
) -> DetectionState:
    """A stream before its first frame.

    policy: which frames support which. `UniformPolicy` needs its frames beforehand: `support`, each
    uint8 (3, H, W), all of one size. cuts: frames before a cut do not support frames after it.
    """
    resize = resize or EvalResize()
    if isinstance(policy, UniformPolicy):
        with torch.no_grad():
            prepared = (_prepare(model, image, resize) for image in support)
            prompts = prompts_for(model.stpn, prepared) if model.stpn.predictor else None
        return DetectionState(start_stream(None, prompts=prompts), resize, cuts=False)
    return DetectionState(start_stream(policy), resize, cuts)


@torch.no_grad()
def detect_step(
    model: FasterRCNN, state: DetectionState, frame: VideoFrame
) -> tuple[list[FrameResult], DetectionState]:
    """Take the next frame; return the results that became ready, in order, and the new state."""
    cut = (
        state.cuts
        and state.previous is not None
        and state.previous.shape == frame.image.shape
        and shot_changed(state.previous, frame.image)
    )
    network = _prepare(model, frame.image, state.resize)
    outputs, stream = step(model.stpn, state.stream, network, new_shot=cut)
    waiting = (*state.waiting, frame)
    results = [_result(model, state.resize, waiting[i], out) for i, out in enumerate(outputs)]
    state = replace(state, stream=stream, waiting=waiting[len(outputs) :], previous=frame.image)
    return results, state


@torch.no_grad()
def finish_detection(model: FasterRCNN, state: DetectionState) -> list[FrameResult]:
    """The video has ended: results of the frames that waited for later ones."""
    outputs = finish(model.stpn, state.stream)
    return [_result(model, state.resize, state.waiting[i], out) for i, out in enumerate(outputs)]


def detect_frames(
    model: FasterRCNN,
    frames: Iterable[VideoFrame],
    policy: Policy,
    *,
    resize: EvalResize | None = None,
    cuts: bool = True,
    support: Iterable[Tensor] = (),
) -> Iterator[FrameResult]:
    """One result per frame, in order; see `start_detection` for the arguments.

    The model must be in evaluation mode; frames go to the device of its weights.
    """
    state = start_detection(model, policy, resize=resize, cuts=cuts, support=support)
    for frame in frames:
        results, state = detect_step(model, state, frame)
        yield from results
    yield from finish_detection(model, state)


def _prepare(model: FasterRCNN, image: Tensor, resize: EvalResize) -> Tensor:
    geometry = resize.geometry((image.shape[1], image.shape[2]))
    return to_network(model, geometry.images(image))


def _result(
    model: FasterRCNN, resize: EvalResize, frame: VideoFrame, output: StreamOutput
) -> FrameResult:
    original = frame.image.shape[1], frame.image.shape[2]
    geometry = resize.geometry(original)
    size = torch.tensor([geometry.size])
    found = model.detect(output.features, size)[0].rescale(geometry.scale, original).to("cpu")
    return FrameResult(frame, found, output.has_prompt)
