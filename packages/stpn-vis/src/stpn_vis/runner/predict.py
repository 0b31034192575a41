"""Masks on a video with an exported model: the files that `stpn_vis.predict` writes."""

from __future__ import annotations

import dataclasses
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
from stpn_vis.config_checks import check_predict
from stpn_vis.draw_pixels import draw_found
from stpn_vis.predict_config import PredictConfig
from stpn_vis.records import Records
from stpn_vis.runner.manifest import Manifest
from stpn_vis.runner.model import ExportedModel
from stpn_vis.runner.stream import FrameResult, SegmentationStream


@dataclass(frozen=True)
class Summary:
    """What was done. status and problems: of the video; exit_code: 130 or 143 if a signal stopped
    it, else 0."""

    frames: int
    objects: int
    status: str
    problems: tuple[str, ...]
    exit_code: int


def settings_for(manifest: Manifest, config: PredictConfig | None) -> PredictConfig:
    """`config` with what was exported in place of every setting left at its default."""
    default = PredictConfig()
    config = config or default
    changes: dict[str, Any] = {
        name: getattr(manifest, name)
        for name in ("short_side", "long_side", "policy", "count", "stride")
        if getattr(config, name) == getattr(default, name)
    }
    return dataclasses.replace(config, **changes)


def segment_video(
    model: ExportedModel, source: str | os.PathLike[str], config: PredictConfig | None = None
) -> Iterator[FrameResult]:
    """One result per frame of a video file, folder or glob, in order.

    Settings left at their defaults are those the model was exported with.
    Raises DataError if the source cannot be read, InputError if a frame fits no exported size.
    """
    yield from _segment(model, FrameSource(source), config, lambda: False)


def predict(
    model: ExportedModel,
    source: str | os.PathLike[str],
    out: str | Path,
    config: PredictConfig | None = None,
) -> Summary:
    """Write `OUT/instances.jsonl`, `OUT/results.json` and `OUT/annotated.mp4` for a video file,
    folder or glob.

    Ctrl-C and SIGTERM end it cleanly with the frames answered so far. Each file appears whole or
    not at all. Raises DataError or InputError if nothing can be read, or OUT cannot be written.
    """
    config = config or PredictConfig()
    check_predict(config)
    out = Path(out)
    video = FrameSource(source)
    stop = StopFlag()
    with listening(stop):
        partial = unfinished_file(out, "instances")
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                records = Records(model.manifest.classes, lines)
                results = _noted(_segment(model, video, config, stop.__bool__), records)
                total = expected_frames(video, config.max_frames)
                shown = tqdm(results, desc=video.name, unit="frame", total=total)
                if config.video:
                    drawn = _drawn(shown, model.manifest.classes)
                    count = write_video(out / "annotated.mp4", drawn, video.fps)
                else:
                    count = sum(1 for _ in shown)
                lines.flush()
                os.fsync(lines.fileno())
            if count:
                records.write_results(out / "results.json")
                os.replace(partial, out / "instances.jsonl")
            elif not stop:
                reason = "; ".join(video.problems) or video.status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    return Summary(count, len(records.masks), video.status, video.problems, stop.exit_code)


def _segment(
    model: ExportedModel, video: FrameSource, config: PredictConfig | None, asked: Asked
) -> Iterator[FrameResult]:
    config = settings_for(model.manifest, config)
    check_predict(config)
    if config.precision != "fp32":
        raise InputError(f"precision {config.precision}: an exported model runs in fp32")
    policy = counted_policy(config.policy, config.count, config.stride)
    support: list[NDArray[np.uint8]] = []
    try:
        if isinstance(policy, UniformPolicy) and model.uses_support:
            support = spread(video, policy.count, config.max_frames, asked)
        stream = SegmentationStream(
            model,
            policy,
            short_side=config.short_side,
            long_side=config.long_side,
            cuts=config.cuts,
            score=config.score,
            most=config.most,
            support=support,
        )
        for frame in taken(video, config.max_frames, asked):
            yield from stream.take(frame)
        yield from stream.finish()
    except Stopped:
        return


def _noted(results: Iterable[FrameResult], records: Records) -> Iterator[FrameResult]:
    for result in results:
        records.note(result.frame, result.found, result.has_prompt)
        yield result


def _drawn(results: Iterable[FrameResult], classes: tuple[str, ...]) -> Iterator[NDArray[np.uint8]]:
    for result in results:
        pixels = result.frame.image.transpose(1, 2, 0)
        yield draw_found(pixels, result.found, classes).transpose(2, 0, 1)
