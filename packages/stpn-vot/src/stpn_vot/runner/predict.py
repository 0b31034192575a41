"""Targets on a video with an exported model: the files that `stpn_vot.predict` writes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError
from stpn_core.training import StopFlag, listening
from stpn_data.arrays.frames import Frame, FrameSource
from stpn_data.crop_axes import Box
from stpn_data.video_reading import taken
from stpn_vot.draw_pixels import draw_on_pixels
from stpn_vot.judgement import TrackResult
from stpn_vot.predict_config import PredictConfig, check_predict
from stpn_vot.runner.model import ExportedTracker
from stpn_vot.runner.stream import TrackState, settings_for, start_tracking, track
from stpn_vot.track_files import FrameTracks, PredictSummary, write_tracks
from stpn_vot.tracking_config import TrackingConfig


def tracking_for(model: ExportedTracker, config: PredictConfig) -> TrackingConfig:
    """How targets are followed: what was exported in place of every setting left at its default."""
    default, exported = PredictConfig().tracking, model.manifest.tracking
    changes = {
        field.name: getattr(exported, field.name)
        for field in dataclasses.fields(TrackingConfig)
        if getattr(config.tracking, field.name) == getattr(default, field.name)
    }
    return settings_for(model, dataclasses.replace(config.tracking, **changes))


def track_video(
    model: ExportedTracker,
    source: str | os.PathLike[str],
    boxes: Sequence[Box],
    config: PredictConfig | None = None,
) -> Iterator[FrameTracks[Frame]]:
    """One result per frame of a video file, folder or glob, in order.

    boxes: x, y, w, h of each target in pixels of the first frame. Settings left at their defaults
    are those the model was exported with. Raises DataError if the source cannot be read, InputError
    for a box that no target can have, or settings that cannot work.
    """
    config = config or PredictConfig()
    settings = _checked(model, boxes, config)
    video = FrameSource(source)
    return _track(model, taken(video, config.max_frames, lambda: False), boxes, settings)


def predict(
    model: ExportedTracker,
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
    settings = _checked(model, boxes, config)
    video, stop = FrameSource(source), StopFlag()
    with listening(stop):
        frames = taken(video, config.max_frames, stop.__bool__)
        return write_tracks(
            video,
            _track(model, frames, boxes, settings),
            out,
            config,
            stop,
            _drawn,
            source=os.fspath(source),
            targets=len(boxes),
        )


def _checked(model: ExportedTracker, boxes: Sequence[Box], config: PredictConfig) -> TrackingConfig:
    check_predict(config)
    if config.precision != "fp32":
        raise InputError(f"precision {config.precision}: an exported model runs in fp32")
    if not boxes:
        raise InputError("name at least one box x, y, w, h on the first frame")
    return tracking_for(model, config)


def _track(
    model: ExportedTracker,
    frames: Iterable[Frame],
    boxes: Sequence[Box],
    config: TrackingConfig,
) -> Iterator[FrameTracks[Frame]]:
    states: list[TrackState] = []
    for frame in frames:
        if states:
            answers = [track(model, state, frame.image) for state in states]
            results = tuple(result for result, _ in answers)
            states = [state for _, state in answers]
        else:
            states = [start_tracking(model, frame.image, box, config) for box in boxes]
            results = tuple(TrackResult(state.box, None, False) for state in states)
        yield FrameTracks(frame, results)


def _drawn(found: FrameTracks[Frame]) -> NDArray[np.uint8]:
    pixels = found.frame.image.transpose(1, 2, 0)
    return draw_on_pixels(pixels, found.targets).transpose(2, 0, 1)
