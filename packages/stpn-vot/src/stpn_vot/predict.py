"""Targets on a video: JSON lines and an annotated video."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stpn_core.errors import InputError
from stpn_core.training import StopFlag, autocast, listening
from stpn_data.crop_axes import Box
from stpn_data.video import VideoFrame, open_video
from stpn_data.video_reading import taken
from stpn_vot.draw import draw_targets
from stpn_vot.model_file import TrainedTracker
from stpn_vot.predict_config import PredictConfig, check_predict
from stpn_vot.track_files import FrameTracks as FrameTracks
from stpn_vot.track_files import PredictSummary as PredictSummary
from stpn_vot.track_files import as_record as as_record
from stpn_vot.track_files import write_tracks
from stpn_vot.tracker import TrackResult, TrackState, start_tracking, track_together


def track_frames(
    tracker: TrainedTracker,
    frames: Iterable[VideoFrame],
    boxes: Sequence[Box],
    config: PredictConfig | None = None,
) -> Iterator[FrameTracks[VideoFrame]]:
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
    stop = StopFlag()
    with open_video(source) as video, listening(stop):
        frames = taken(video, config.max_frames, stop.__bool__)
        results = track_frames(tracker, frames, boxes, config)
        return write_tracks(
            video,
            results,
            out,
            config,
            stop,
            lambda found: draw_targets(found.frame.image, found.targets),
            source=os.fspath(source),
            targets=len(boxes),
        )


def _track(
    tracker: TrainedTracker,
    frames: Iterable[VideoFrame],
    boxes: Sequence[Box],
    config: PredictConfig,
) -> Iterator[FrameTracks[VideoFrame]]:
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
