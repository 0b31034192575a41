"""Masks on a video: JSON lines, results as YouTube-VIS has them, and an annotated video."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

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
from stpn_vis.config_checks import check_predict
from stpn_vis.draw import draw_instances
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict_config import PredictConfig
from stpn_vis.records import Records
from stpn_vis.stream import FrameResult, segment_frames


@dataclass(frozen=True)
class PredictSummary:
    """What was done. status and problems: of the video (see `VideoSource`); exit_code: 130 or 143
    if a signal stopped it, else 0."""

    frames: int
    objects: int
    status: str
    problems: tuple[str, ...]
    exit_code: int


def segment_file(
    segmenter: TrainedSegmenter,
    source: str | os.PathLike[str],
    config: PredictConfig | None = None,
) -> Iterator[FrameResult]:
    """One result per frame of a video file, folder or glob, in order.

    ```
    segmenter = load_trained("runs/mine")
    for result in segment_file(segmenter, "street.mp4"):
        print(result.frame.index, result.found.ids, result.found.masks.shape)
    ```
    Raises DataError if the source cannot be read.
    """
    config = config or PredictConfig()
    check_predict(config)
    with open_video(source) as video:
        yield from _segment(segmenter, video, config, lambda: False)


def predict(
    segmenter: TrainedSegmenter,
    source: str | os.PathLike[str],
    out: str | Path,
    config: PredictConfig | None = None,
) -> PredictSummary:
    """Write `OUT/instances.jsonl`, `OUT/results.json` and `OUT/annotated.mp4` for a video file,
    folder or glob.

    Ctrl-C and SIGTERM end it cleanly with the frames answered so far. Each file appears whole or
    not at all. Raises DataError or InputError if nothing can be read, or OUT cannot be written.
    """
    config = config or PredictConfig()
    check_predict(config)
    out = Path(out)
    stop = StopFlag()
    with open_video(source) as video, listening(stop):
        partial = unfinished_file(out, "instances")
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                records = Records(segmenter.classes, lines)
                results = _noted(_segment(segmenter, video, config, stop.__bool__), records)
                total = expected_frames(video, config.max_frames)
                shown = tqdm(results, desc=video.name, unit="frame", total=total)
                if config.video:
                    count = write_video(
                        out / "annotated.mp4", _drawn(shown, segmenter.classes), video.fps
                    )
                else:
                    count = sum(1 for _ in shown)
                lines.flush()
                os.fsync(lines.fileno())
            status, problems = video.status, video.problems
            if count:
                records.write_results(out / "results.json")
                os.replace(partial, out / "instances.jsonl")
            elif not stop:
                reason = "; ".join(problems) or status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    return PredictSummary(count, len(records.masks), status, problems, stop.exit_code)


def _segment(
    segmenter: TrainedSegmenter, video: VideoSource, config: PredictConfig, asked: Asked
) -> Iterator[FrameResult]:
    policy = counted_policy(config.policy, config.count, config.stride)
    support: Iterable[Tensor] = ()
    try:
        if isinstance(policy, UniformPolicy) and segmenter.config.uses_support:
            support = spread(video, policy.count, config.max_frames, asked)
        yield from segment_frames(
            segmenter.model,
            taken(video, config.max_frames, asked),
            policy,
            resize=EvalResize(config.short_side, config.long_side),
            cuts=config.cuts,
            score=config.score,
            most=config.most,
            support=support,
            precision=config.precision,
        )
    except Stopped:
        return


def _noted(results: Iterable[FrameResult], records: Records) -> Iterator[FrameResult]:
    for result in results:
        records.note(result.frame, result.found.arrays(), result.has_prompt)
        yield result


def _drawn(results: Iterable[FrameResult], classes: tuple[str, ...]) -> Iterator[Tensor]:
    for result in results:
        yield draw_instances(result.frame.image, result.found, classes)
