"""Boxes on a video with an exported model: the files that `stpn_vod.predict` writes."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import unfinished_file
from stpn_core.training import StopFlag, listening
from stpn_data.arrays.frames import FrameSource
from stpn_data.support import UniformPolicy, counted_policy
from stpn_data.video_reading import Asked, Stopped, expected_frames, spread, taken
from stpn_data.video_write import write_video
from stpn_vod.draw_pixels import detection_rows, draw_rows
from stpn_vod.predict_config import PredictConfig
from stpn_vod.records import as_record
from stpn_vod.runner.found import FrameResult
from stpn_vod.runner.manifest import Manifest
from stpn_vod.runner.model import ExportedModel
from stpn_vod.runner.stream import detect_frames
from stpn_vod.runner.tracks import track_frames
from stpn_vod.tracks.assign import require_lap


@dataclass(frozen=True)
class Summary:
    """What was done. status and problems: of the video; exit_code: 130 or 143 if a signal stopped
    it, else 0; larger: sizes of frames (h, w) that ran in graphs of a larger size."""

    frames: int
    status: str
    problems: tuple[str, ...]
    exit_code: int


def settings_for(manifest: Manifest, config: PredictConfig | None) -> PredictConfig:
    """`config` with what was exported in place of every setting left at its default."""
    default = PredictConfig()
    config = config or default
    changes: dict[str, Any] = {
        name: getattr(manifest, name)
        for name in ("short_side", "long_side", "resampling", "policy", "count", "stride")
        if getattr(config, name) == getattr(default, name)
    }
    return dataclasses.replace(config, **changes)


def detect_video(
    model: ExportedModel, source: str | os.PathLike[str], config: PredictConfig | None = None
) -> Iterator[FrameResult]:
    """One result per frame of a video file, folder or glob, in order.

    Settings left at their defaults are those the model was exported with.
    Raises DataError if the source cannot be read, InputError if a frame fits no exported size.
    """
    yield from _detect(model, FrameSource(source), config, lambda: False)


def predict(
    model: ExportedModel,
    source: str | os.PathLike[str],
    out: str | Path,
    config: PredictConfig | None = None,
) -> Summary:
    """Write `OUT/detections.jsonl` and `OUT/annotated.mp4` for a video file, folder or glob.

    Ctrl-C and SIGTERM end it cleanly with the frames answered so far. Both files appear whole or
    not at all. Raises DataError or InputError if nothing can be read, or OUT cannot be written.
    """
    config = config or PredictConfig()
    out = Path(out)
    video = FrameSource(source)
    partial = unfinished_file(out, "detections")
    stop = StopFlag()
    with listening(stop):
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                total = expected_frames(video, config.max_frames)
                found = tqdm(
                    _detect(model, video, config, stop.__bool__),
                    video.name,
                    total=total,
                    unit="frame",
                )
                results = _written(found, model, lines)
                if config.video:
                    count = write_video(out / "annotated.mp4", _drawn(results, model), video.fps)
                else:
                    count = sum(1 for _ in results)
                lines.flush()
                os.fsync(lines.fileno())
            if count:
                os.replace(partial, out / "detections.jsonl")
            elif not stop:
                reason = "; ".join(video.problems) or video.status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    return Summary(count, video.status, video.problems, stop.exit_code)


def _detect(
    model: ExportedModel, video: FrameSource, config: PredictConfig | None, asked: Asked
) -> Iterator[FrameResult]:
    config = settings_for(model.manifest, config)
    if config.tracks:
        require_lap()  # now, not after minutes
    if config.precision != "fp32":
        raise InputError(f"precision {config.precision}: an exported model runs in fp32")
    policy = counted_policy(config.policy, config.count, config.stride)
    support: list[NDArray[np.uint8]] = []
    try:
        if isinstance(policy, UniformPolicy) and model.uses_support:
            support = spread(video, policy.count, config.max_frames, asked)
        results = detect_frames(
            model,
            taken(video, config.max_frames, asked),
            policy,
            short_side=config.short_side,
            long_side=config.long_side,
            resampling=config.resampling,
            cuts=config.cuts,
            support=support,
        )
        if config.tracks:
            yield from track_frames(results, config.link, config.score)
        else:
            yield from (dataclasses.replace(r, found=r.found.above(config.score)) for r in results)
    except Stopped:
        return


def _written(
    results: Iterable[FrameResult], model: ExportedModel, lines: Any
) -> Iterator[FrameResult]:
    for result in results:
        lines.write(json.dumps(as_record(result, model.manifest.classes)) + "\n")
        yield result


def _drawn(results: Iterable[FrameResult], model: ExportedModel) -> Iterator[NDArray[np.uint8]]:
    for result in results:
        rows = detection_rows(result.found, model.manifest.classes, result.ids)
        yield draw_rows(result.frame.image.transpose(1, 2, 0), rows).transpose(2, 0, 1)
