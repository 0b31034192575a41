"""Masks on a video: JSON lines, results as YouTube-VIS has them, and an annotated video."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from torch import Tensor
from tqdm import tqdm

from stpn_core.errors import InputError, StpnError
from stpn_core.runs import replace_file, unfinished_file
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
from stpn_vis.rle import Rle, as_json, encode
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
        found = _Found(segmenter.classes)
        try:
            with open(partial, "w", encoding="utf-8") as lines:
                results = found.noted(_segment(segmenter, video, config, stop.__bool__), lines)
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
                replace_file(out / "results.json", json.dumps(found.results(count)).encode())
                os.replace(partial, out / "instances.jsonl")
            elif not stop:
                reason = "; ".join(problems) or status
                raise InputError(f"{source}: no frame could be read ({reason})")
        except OSError as error:
            raise StpnError(f"{out}: cannot be written: {error.strerror or error}") from error
        finally:
            partial.unlink(missing_ok=True)
    return PredictSummary(count, len(found.masks), status, problems, stop.exit_code)


def as_record(result: FrameResult, rles: list[Rle], classes: tuple[str, ...]) -> dict[str, Any]:
    """One line of `instances.jsonl`; boxes are x1, y1, x2, y2 in pixels of the frame, masks
    compressed RLE."""
    found = result.found
    height, width = result.frame.image.shape[1:]
    rows = zip(
        found.ids.tolist(),
        found.labels.tolist(),
        found.scores.tolist(),
        found.boxes().tolist(),
        rles,
        strict=True,
    )
    return {
        "frame": result.frame.index,
        "time": round(result.frame.time, 6),
        "name": result.frame.name,
        "size": [width, height],
        "prompted": result.has_prompt,
        "objects": [
            {"id": i, "label": classes[label], "score": round(score, 5), "box": box,
             "mask": as_json(rle)}
            for i, label, score, box, rle in rows
        ],
    }  # fmt: skip


@dataclass
class _Found:
    """What `results.json` will hold: masks of each object by frame, its last class and score."""

    classes: tuple[str, ...]
    masks: dict[int, dict[int, Rle]] = field(default_factory=dict)
    last: dict[int, tuple[int, float]] = field(default_factory=dict)

    def noted(self, results: Iterable[FrameResult], lines: TextIO) -> Iterator[FrameResult]:
        """The results, each written as a line and remembered."""
        for t, result in enumerate(results):
            found = result.found
            rles = [encode(mask.numpy().astype(np.uint8)) for mask in found.masks]
            lines.write(json.dumps(as_record(result, rles, self.classes)) + "\n")
            for i, label, score, rle in zip(
                found.ids.tolist(), found.labels.tolist(), found.scores.tolist(), rles, strict=True
            ):
                self.masks.setdefault(i, {})[t] = rle
                self.last[i] = (label, score)
            yield result

    def results(self, length: int) -> list[dict[str, Any]]:
        """Rows of a YouTube-VIS results file for video 1; category ids count classes from 1."""
        return [
            {
                "video_id": 1,
                "category_id": self.last[i][0] + 1,
                "score": round(self.last[i][1], 5),
                "segmentations": [as_json(masks.get(t)) for t in range(length)],
            }
            for i, masks in self.masks.items()
        ]


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


def _drawn(results: Iterable[FrameResult], classes: tuple[str, ...]) -> Iterator[Tensor]:
    for result in results:
        yield draw_instances(result.frame.image, result.found, classes)
