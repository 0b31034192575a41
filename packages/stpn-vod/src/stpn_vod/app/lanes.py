"""What is watched side by side: a detector with its prompts, the same weights without, a twin."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from stpn_core import STPN
from stpn_core.training import Precision
from stpn_data.support import Policy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoFrame
from stpn_vod.build import Detector
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN
from stpn_vod.model_file import TrainedDetector
from stpn_vod.selsa_detector import SelsaDetector
from stpn_vod.stream import FrameResult, detect_step, finish_detection, start_detection


@dataclass(frozen=True, eq=False)
class Lane:
    """One column of the page."""

    key: str
    title: str
    model: Detector
    classes: tuple[str, ...]
    uses_support: bool


@dataclass(frozen=True, eq=False)
class LaneFrames:
    """What every lane found on one frame; boxes are in its pixels."""

    frame: VideoFrame
    found: tuple[Detections, ...]
    has_prompt: tuple[bool, ...]


def lanes_of(detector: TrainedDetector, twin: TrainedDetector | None = None) -> tuple[Lane, ...]:
    """Lanes of a detector: with its prompts and without, or the one it has; then the twin's."""
    lanes = [_lane("prompts", "with prompts", detector, detector.model)]
    if detector.model.stpn.predictor is None:
        lanes = [_lane("detector", "detector", detector, detector.model)]
    else:
        lanes.append(_lane("off", "prompts off", detector, without_prompts(detector.model)))
    if twin is not None:
        lanes.append(_lane("twin", "twin", twin, twin.model))
    return tuple(lanes)


def without_prompts(model: Detector) -> Detector:
    """The same weights, shared, with the prompts left out."""
    stpn = STPN(model.stpn.encoder, None)
    parts = stpn, model.fpn, model.rpn, model.roi
    if isinstance(model, SelsaDetector):
        return SelsaDetector(*parts, model.selsa, pad_to=model.pad_to).eval()
    return FasterRCNN(*parts, pad_to=model.pad_to).eval()


def side_by_side(
    lanes: Sequence[Lane],
    frames: Iterable[VideoFrame],
    policy: Policy,
    resize: EvalResize,
    *,
    cuts: bool = True,
    support: Sequence[Tensor] = (),
    precision: Precision = "fp32",
    taken: Callable[[], None] = lambda: None,
) -> Iterator[LaneFrames]:
    """Answers of all lanes to each frame, in order, as soon as the slowest has given its own.

    A lane answers as `stream.detect_frames` does with the same arguments. `taken` is called after
    each frame that went in, which is ahead of the answers where the policy looks ahead.
    """
    states = [
        start_detection(
            lane.model, policy, resize=resize, cuts=cuts, precision=precision,
            support=support if lane.uses_support else (),
        )
        for lane in lanes
    ]  # fmt: skip
    waiting: deque[VideoFrame] = deque()
    answers: list[deque[tuple[Detections, bool]]] = [deque() for _ in lanes]

    def ready() -> Iterator[LaneFrames]:
        while all(answers):
            found, has_prompt = zip(*(queue.popleft() for queue in answers), strict=True)
            yield LaneFrames(waiting.popleft(), found, has_prompt)

    for frame in frames:
        waiting.append(frame)
        for i, lane in enumerate(lanes):
            results, states[i] = detect_step(lane.model, states[i], frame)
            answers[i] += map(_answer, results)
        taken()
        yield from ready()
    for i, lane in enumerate(lanes):
        answers[i] += map(_answer, finish_detection(lane.model, states[i]))
    yield from ready()


def _answer(result: FrameResult) -> tuple[Detections, bool]:
    """Without the frame: the lanes that do not look ahead would hold on to all of them."""
    return result.found, result.has_prompt


def _lane(key: str, title: str, detector: TrainedDetector, model: Detector) -> Lane:
    uses_support = isinstance(model, SelsaDetector) or model.stpn.predictor is not None
    return Lane(key, title, model, detector.classes, uses_support)
