"""Boxes on a video: JSON lines, one per frame, and an annotated video."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import unfinished_file
from stpn_core.training import StopFlag, listening
from stpn_data.support import UniformPolicy, counted_policy
from stpn_data.transforms import EvalResize
from stpn_data.video import VideoSource, open_video
from stpn_data.video_reading import Asked, Stopped, expected_frames, spread, taken
from stpn_data.video_write import write_video
from stpn_vod.config_checks import check_predict
from stpn_vod.draw import draw_detections
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig
from stpn_vod.records import as_record as as_record
from stpn_vod.stream import FrameResult, detect_frames
from stpn_vod.tracks import track_frames
from stpn_vod.tracks.assign import require_lap


@dataclass(frozen=True)
class PredictSummary:
    """What was done. status and problems: of the video (see `VideoSource`); exit_code: 130 or 143
    if a signal stopped it, else 0."""

    frames: int
    status: str
    problems: tuple[str, ...]
    exit_code: int


def detect_video(
    detector: TrainedDetector, source: str | os.PathLike[str], config: PredictConfig | None = None
) -> Iterator[FrameResult]:
    """One result per frame of a video file, folder or glob, in order.

    ```
    detector = load_trained("runs/mine")
    for result in detect_video(detector, "street.mp4"):
        print(result.frame.index, result.found.boxes)
    ```
    Raises DataError if the source cannot be read.
    """
    config = config or PredictConfig()
    check_predict(config)
    with open_video(source) as video:
        yield from _detect(detector, video, config, lambda: False)


def predict(
    detector: TrainedDetector, source: str | os.PathLike[str], out: str | Path,
    config: PredictConfig | None = None,
) -> PredictSummary:  # fmt: skip
    """Write `OUT/detections.jsonl` and `OUT/annotated.mp4` for a video file, folder or glob.

    Ctrl-C and SIGTERM end it cleanly with the frames answered so far. Both files appear whole or
    not at all. Raises DataError or InputError if nothing can be read, or OUT cannot be written.
    """
    config = config or PredictConfig()
    check_predict(config)
    out = Path(out)
    stop = StopFlag()
    with open_video(source) as video, listening(stop):
        partial = unfinished_file(out, "detections")
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                found = _detect(detector, video, config, stop.__bool__)
                results = _written(_shown(found, video, config), detector, lines)
                if config.video:
                    count = _write_video(out / "annotated.mp4", results, detector, video.fps)
                else:
                    count = sum(1 for _ in results)
                lines.flush()
                os.fsync(lines.fileno())
            status, problems = video.status, video.problems
            if count:
                os.replace(partial, out / "detections.jsonl")
            elif not stop:
                reason = "; ".join(problems) or status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    return PredictSummary(count, status, problems, stop.exit_code)


def _detect(
    detector: TrainedDetector, video: VideoSource, config: PredictConfig, asked: Asked
) -> Iterator[FrameResult]:
    if config.tracks:
        require_lap()  # now, not after minutes
    policy = counted_policy(config.policy, config.count, config.stride)
    support: Iterable[Tensor] = ()
    try:
        if isinstance(policy, UniformPolicy) and detector.config.uses_support:
            support = spread(video, policy.count, config.max_frames, asked)
        results = detect_frames(
            detector.model,
            taken(video, config.max_frames, asked),
            policy,
            resize=EvalResize(config.short_side, config.long_side, config.resampling),
            cuts=config.cuts,
            support=support,
            precision=config.precision,
        )
        if config.tracks:
            yield from track_frames(results, config.link, score=config.score)
        else:
            yield from (replace(r, found=r.found.above(config.score)) for r in results)
    except Stopped:
        return


def _shown(
    results: Iterable[FrameResult], video: VideoSource, config: PredictConfig
) -> Iterator[FrameResult]:
    total = expected_frames(video, config.max_frames)
    yield from tqdm(results, desc=video.name, unit="frame", total=total)


def _written(
    results: Iterable[FrameResult], detector: TrainedDetector, lines: Any
) -> Iterator[FrameResult]:
    for result in results:
        lines.write(json.dumps(as_record(result, detector.classes)) + "\n")
        yield result


def _write_video(
    path: Path, results: Iterable[FrameResult], detector: TrainedDetector, fps: float
) -> int:
    frames = (draw_detections(r.frame.image, r.found, detector.classes, r.ids) for r in results)
    return write_video(path, frames, fps)
