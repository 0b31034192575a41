"""Targets on a video: JSON lines and an annotated video."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from torch import Tensor
from tqdm import tqdm

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import unfinished_file
from stpn_core.training import StopFlag, autocast, listening
from stpn_data.tracking.crops import Box
from stpn_data.video import VideoFrame, open_video
from stpn_data.video_reading import Stopped, expected_frames, taken
from stpn_data.video_write import write_video
from stpn_vot.draw import draw_targets
from stpn_vot.model_file import TrainedTracker
from stpn_vot.predict_config import PredictConfig, check_predict
from stpn_vot.tracker import TrackResult, TrackState, start_tracking, track_together


@dataclass(frozen=True, eq=False)
class FrameTracks:
    """The targets on one frame, in the order of their boxes."""

    frame: VideoFrame
    targets: tuple[TrackResult, ...]


@dataclass(frozen=True)
class PredictSummary:
    """What was done. lost: targets that are lost on the last frame. status and problems: of the
    video (see `VideoSource`); exit_code: 130 or 143 if a signal stopped it, else 0."""

    frames: int
    targets: int
    lost: int
    status: str
    problems: tuple[str, ...]
    exit_code: int


def track_frames(
    tracker: TrainedTracker,
    frames: Iterable[VideoFrame],
    boxes: Sequence[Box],
    config: PredictConfig | None = None,
) -> Iterator[FrameTracks]:
    """One result per frame, in order, each as soon as its frame is there: from a file, a camera or
    a pipe.

    boxes: x, y, w, h of each target in pixels of the first frame, whose result they are.
    ```
    tracker = load_trained("runs/mine")
    with open_video("street.mp4") as video:
        for result in track_frames(tracker, video, [(100, 80, 40, 90)]):
            print(result.frame.index, result.targets[0].box, result.targets[0].lost)
    ```
    Raises InputError for a box that no target can have, or settings that cannot work.
    """
    config = config or PredictConfig()
    check_predict(config)
    if not boxes:
        raise InputError("name at least one box x, y, w, h on the first frame")
    return _track(tracker, frames, boxes, config)


def predict(
    tracker: TrainedTracker,
    source: str | os.PathLike[str],
    boxes: Sequence[Box],
    out: str | Path,
    config: PredictConfig | None = None,
) -> PredictSummary:
    """Write `OUT/tracks.jsonl` and `OUT/annotated.mp4` for a video file, folder or glob.

    Ctrl-C and SIGTERM end it cleanly with the frames answered so far. Each file appears whole or
    not at all. Raises DataError or InputError if nothing can be read, a box cannot be, or OUT
    cannot be written.
    """
    config = config or PredictConfig()
    out = Path(out)
    stop = StopFlag()
    with open_video(source) as video, listening(stop):
        frames = taken(video, config.max_frames, stop.__bool__)
        results = track_frames(tracker, frames, boxes, config)
        partial = unfinished_file(out, "tracks")
        last: list[FrameTracks] = []
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                total = expected_frames(video, config.max_frames)
                noted = _noted(_until_stopped(results), lines, last)
                shown = tqdm(noted, desc=video.name, unit="frame", total=total)
                if config.video:
                    count = write_video(out / "annotated.mp4", _drawn(shown), video.fps)
                else:
                    count = sum(1 for _ in shown)
                lines.flush()
                os.fsync(lines.fileno())
            status, problems = video.status, video.problems
            if count:
                os.replace(partial, out / "tracks.jsonl")
            elif not stop:
                reason = "; ".join(problems) or status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    lost = sum(target.lost for result in last for target in result.targets)
    return PredictSummary(count, len(boxes), lost, status, problems, stop.exit_code)


def as_record(result: FrameTracks) -> dict[str, Any]:
    """One line of `tracks.jsonl`; boxes are x, y, w, h in pixels of the frame."""
    height, width = result.frame.image.shape[1:]
    return {
        "frame": result.frame.index,
        "time": round(result.frame.time, 6),
        "name": result.frame.name,
        "size": [width, height],
        "targets": [
            {
                "id": number,
                "box": [round(value, 3) for value in target.box],
                "score": None if target.score is None else round(target.score, 5),
                "lost": target.lost,
            }
            for number, target in enumerate(result.targets, start=1)
        ],
    }


def _track(
    tracker: TrainedTracker,
    frames: Iterable[VideoFrame],
    boxes: Sequence[Box],
    config: PredictConfig,
) -> Iterator[FrameTracks]:
    settings = tracker.tracking(config.tracking)
    model, device = tracker.model, next(tracker.model.parameters()).device
    states: list[TrackState] = []
    for frame in frames:
        # entered for each frame: a generator must not leave autocast on in its caller's code
        with autocast(config.precision, device):
            if states:
                answers = track_together(model, states, frame.image)
                results = tuple(result for result, _ in answers)
                states = [state for _, state in answers]
            else:
                states = [start_tracking(model, frame.image, box, settings) for box in boxes]
                results = tuple(TrackResult(state.box, None, False) for state in states)
        yield FrameTracks(frame, results)


def _until_stopped(results: Iterator[FrameTracks]) -> Iterator[FrameTracks]:
    try:
        yield from results
    except Stopped:
        return


def _noted(
    results: Iterable[FrameTracks], lines: TextIO, last: list[FrameTracks]
) -> Iterator[FrameTracks]:
    """The results, each written as a line; `last` holds the latest."""
    for result in results:
        lines.write(json.dumps(as_record(result)) + "\n")
        last[:] = [result]
        yield result


def _drawn(results: Iterable[FrameTracks]) -> Iterator[Tensor]:
    for result in results:
        yield draw_targets(result.frame.image, result.targets)
