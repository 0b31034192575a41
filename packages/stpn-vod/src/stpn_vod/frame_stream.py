"""The stream that belongs to a detector: of prompts (`stpn_core.streaming`), or of prompts and
references (`selsa_stream`). The one place that tells them apart.

H x W padded pixels of a frame; a size is its h, w before padding.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_core.streaming import StreamOutput, StreamState, finish, prompts_for, start_stream, step
from stpn_data.support import Policy, UniformPolicy
from stpn_vod.build import Detector
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.selsa_stream import (
    SelsaOutput,
    SelsaStream,
    Size,
    finish_selsa,
    selsa_step,
    start_selsa,
    start_selsa_with,
)

Stream = StreamState | SelsaStream
Output = StreamOutput | SelsaOutput


def open_stream(
    model: Detector, policy: Policy, support: Iterable[tuple[Tensor, Size]] = ()
) -> Stream:
    """A stream before its first frame.

    support: frames (3, H, W), normalised, and their sizes, for a `UniformPolicy`; they support all
    others. Where the result has no policy, earlier frames of the stream play no part.
    """
    given = isinstance(policy, UniformPolicy)
    if isinstance(model, SelsaDetector):
        return start_selsa_with(model, support) if given else start_selsa(policy)
    if model.stpn.predictor is None:
        return start_stream(None)
    if given:
        return start_stream(None, prompts=prompts_for(model.stpn, (frame for frame, _ in support)))
    return start_stream(policy)


def advance(
    model: Detector, stream: Stream, frame: Tensor, size: Size, new_shot: bool
) -> tuple[list[Output], Stream]:
    """Take the next frame (3, H, W), normalised; return what became ready and the new state."""
    outputs: list[Output] = []
    if isinstance(model, SelsaDetector) and isinstance(stream, SelsaStream):
        found, stream = selsa_step(model, stream, frame, size, new_shot)
        outputs += found
    elif isinstance(model, FasterRCNN) and isinstance(stream, StreamState):
        encoded, stream = step(model.stpn, stream, frame, new_shot)
        outputs += encoded
    else:
        raise _foreign(model, stream)
    return outputs, stream


def close_stream(model: Detector, stream: Stream) -> list[Output]:
    """The video has ended: answers for the frames that waited for later ones."""
    if isinstance(model, SelsaDetector) and isinstance(stream, SelsaStream):
        return [*finish_selsa(model, stream)]
    if isinstance(model, FasterRCNN) and isinstance(stream, StreamState):
        return [*finish(model.stpn, stream)]
    raise _foreign(model, stream)


def found_in(model: Detector, output: Output, size: Size) -> Detections:
    """What was found on an answered frame of `size`, in network pixels."""
    if isinstance(output, SelsaOutput):
        return output.found
    return model.detect(output.features, torch.tensor([size]))[0]


def _foreign(model: Detector, stream: Stream) -> InputError:
    kinds = f"a {type(stream).__name__} with a {type(model).__name__}"
    return InputError(f"the state of a stream stays with the detector that began it, got {kinds}")
