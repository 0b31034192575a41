"""Boxes on a video with an exported model: the files that `stpn_vod.predict` writes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import unfinished_file
from stpn_data.arrays.frames import Frame, FrameSource
from stpn_data.support import UniformPolicy, parse_policy, uniform
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


class _Stop:
    """While entered in the main thread, SIGTERM and Ctrl-C set a flag, nothing else."""

    code = 0

    def __enter__(self) -> _Stop:
        self._previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._remember)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: object) -> None:
        self.code = self.code or 128 + number


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
    yield from _detect(model, FrameSource(source), config, _Stop())


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
    with _Stop() as stop:
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                total = min(video.length_hint or 0, config.max_frames or 1 << 62) or None
                found = tqdm(
                    _detect(model, video, config, stop), video.name, total=total, unit="frame"
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
            elif not stop.code:
                reason = "; ".join(video.problems) or video.status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    return Summary(count, video.status, video.problems, stop.code)


def _detect(
    model: ExportedModel, video: FrameSource, config: PredictConfig | None, stop: _Stop
) -> Iterator[FrameResult]:
    config = settings_for(model.manifest, config)
    if config.tracks:
        require_lap()  # now, not after minutes
    if config.precision != "fp32":
        raise InputError(f"precision {config.precision}: an exported model runs in fp32")
    settings: dict[str, int] = {"count": config.count}
    if config.policy == "window":
        settings = {"per_side": max(1, config.count // 2)}
    if config.policy != "uniform":
        settings["stride"] = config.stride
    policy = parse_policy(config.policy, **settings)
    support: list[NDArray[np.uint8]] = []
    if isinstance(policy, UniformPolicy) and model.uses_support:
        support = _spread(video, policy.count, config.max_frames, stop)
    results = detect_frames(
        model,
        _taken(video, config.max_frames, stop),
        policy,
        short_side=config.short_side,
        long_side=config.long_side,
        resampling=config.resampling,
        cuts=config.cuts,
        support=support,
    )
    if config.tracks:
        shown = track_frames(results, config.link, config.score)
    else:
        shown = (dataclasses.replace(r, found=r.found.above(config.score)) for r in results)
    yield from itertools.takewhile(lambda _: not stop.code, shown)


def _taken(video: Iterable[Frame], most: int, stop: _Stop) -> Iterator[Frame]:
    return itertools.takewhile(lambda _: not stop.code, itertools.islice(video, most or None))


def _spread(video: FrameSource, count: int, most: int, stop: _Stop) -> list[NDArray[np.uint8]]:
    """`count` frames spread over the first `most` frames (0: all), all of one size; two passes,
    since no container's length can be trusted."""
    places = uniform(sum(1 for _ in _taken(video, most, stop)), count)
    wanted = set(places)
    chosen = {f.index: f.image for f in _taken(video, most, stop) if f.index in wanted}
    there = [chosen[i] for i in places if i in chosen]
    return [image for image in there if image.shape == there[0].shape]


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
