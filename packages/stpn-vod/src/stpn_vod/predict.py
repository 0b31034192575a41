"""Boxes on a video: JSON lines, one per frame, and an annotated video."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from stpn_core.errors import InputError
from stpn_core.training import autocast
from stpn_data.support import Policy, UniformPolicy, parse_policy, uniform
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoSource, open_video
from stpn_data.video_write import write_video
from stpn_vod.draw import draw_detections
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig
from stpn_vod.stream import FrameResult, detect_frames


@dataclass(frozen=True)
class PredictSummary:
    """What was done: frames answered, whether the video ended early, whether the user stopped it."""

    frames: int
    status: str
    interrupted: bool
    problems: tuple[str, ...]


def detect_video(
    detector: TrainedDetector, source: str | os.PathLike[str], config: PredictConfig | None = None
) -> Iterator[FrameResult]:
    """One result per frame of a video file, folder or glob, in order.

    ```
    detector = load_trained("runs/mine")
    for result in detect_video(detector, "street.mp4"):
        print(result.frame.index, result.found.boxes)
    ```
    """
    config = config or PredictConfig()
    with open_video(source) as video:
        yield from _detect(detector, video, config)


def predict(
    detector: TrainedDetector, source: str | os.PathLike[str], out: str | Path,
    config: PredictConfig | None = None,
) -> PredictSummary:  # fmt: skip
    """Write `OUT/detections.jsonl` and `OUT/annotated.mp4` for a video file, folder or glob.

    Ctrl-C ends it cleanly with the frames answered so far. Raises DataError if nothing can be read.
    """
    config = config or PredictConfig()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    partial = out / f".detections.{os.getpid()}.partial"
    interrupted: list[bool] = []
    try:
        with (
            open_video(source) as video,
            open(partial, "w") as lines,
            _until_interrupted(interrupted),
        ):
            results = _written(
                _counted(_detect(detector, video, config), video, interrupted), detector, lines
            )
            frames = (draw_detections(r.frame.image, r.found, detector.classes) for r in results)
            if config.video:
                count = write_video(out / "annotated.mp4", frames, video.fps)
            else:
                count = sum(1 for _ in results)
            status, problems = video.status, video.problems
            lines.flush()
            os.fsync(lines.fileno())
        if not count and not interrupted:
            raise InputError(f"{source}: no frame could be read ({'; '.join(problems) or status})")
        os.replace(partial, out / "detections.jsonl")
    finally:
        partial.unlink(missing_ok=True)
    return PredictSummary(count, status, bool(interrupted), problems)


def as_record(result: FrameResult, classes: tuple[str, ...]) -> dict[str, Any]:
    """One line of `detections.jsonl`; boxes are x1, y1, x2, y2 in pixels of the frame."""
    found = result.found
    height, width = result.frame.image.shape[1:]
    return {
        "frame": result.frame.index,
        "time": round(result.frame.time, 6),
        "name": result.frame.name,
        "size": [width, height],
        "prompted": result.has_prompt,
        "objects": [
            {"label": classes[label], "score": round(score, 5), "box": [round(x, 2) for x in box]}
            for box, score, label in zip(
                found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
            )
        ],
    }


def _detect(
    detector: TrainedDetector, video: VideoSource, config: PredictConfig
) -> Iterator[FrameResult]:
    policy = _policy(config)
    support: Iterable[Tensor] = ()
    if isinstance(policy, UniformPolicy) and detector.model.stpn.predictor is not None:
        support = _spread(video, policy.count)
    frames = itertools.islice(video, config.max_frames or None)
    device = next(detector.model.parameters()).device
    with autocast(config.precision, device):
        for result in detect_frames(
            detector.model,
            frames,
            policy,
            resize=EvalResize(config.short_side, config.long_side),
            cuts=config.cuts,
            support=support,
        ):
            yield FrameResult(result.frame, result.found.above(config.score), result.has_prompt)


def _policy(config: PredictConfig) -> Policy:
    if config.policy == "window":
        return parse_policy("window", per_side=max(1, config.count // 2), stride=config.stride)
    if config.policy == "online":
        return parse_policy("online", count=config.count, stride=config.stride)
    return parse_policy("uniform", count=config.count)


def _spread(video: VideoSource, count: int) -> list[Tensor]:
    """Frames spread over the whole video; two passes, since no container's length can be trusted."""
    length = sum(1 for _ in tqdm(video, desc="count frames", unit="frame", total=video.length_hint))
    wanted = uniform(length, count)
    chosen = {frame.index: frame.image for frame in video if frame.index in set(wanted)}
    first = chosen[wanted[0]].shape if wanted else None
    return [chosen[i] for i in wanted if chosen[i].shape == first]


def _written(
    results: Iterable[FrameResult], detector: TrainedDetector, lines: Any
) -> Iterator[FrameResult]:
    for result in results:
        lines.write(json.dumps(as_record(result, detector.classes)) + "\n")
        yield result


def _counted(
    results: Iterable[FrameResult], video: VideoSource, interrupted: list[bool]
) -> Iterator[FrameResult]:
    with tqdm(results, desc=video.name, unit="frame", total=video.length_hint) as bar:
        for result in bar:
            yield result
            if interrupted:
                return


@contextmanager
def _until_interrupted(interrupted: list[bool]) -> Iterator[None]:
    """Ctrl-C is remembered in `interrupted`; a second one ends the process at once."""

    def remember(number: int, frame: object) -> None:
        interrupted.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, remember)
    except ValueError:  # not in the main thread, where Ctrl-C does not arrive
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
