"""What can be downloaded of a job: JSON lines and the annotated clip, at the score the page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stpn_core.errors import InputError
from stpn_data.video import VideoFrame
from stpn_data.video_write import write_video
from stpn_vod.app.detect import spoiled_frames
from stpn_vod.app.jobs import Job
from stpn_vod.app.lanes import Lane
from stpn_vod.draw import class_colour, draw_boxes


def json_lines(job: Job, lanes: Sequence[Lane], score: float) -> Iterator[str]:
    """Lines as in the `detections.jsonl` of `stpn vod predict`, for each frame and lane one; `lane`
    names it."""
    for record in list(job.records):
        shared = {key: record[key] for key in ("frame", "time", "name", "size")}
        for lane, row in zip(lanes, record["lanes"], strict=True):
            objects = [thing for thing in row["objects"] if thing["score"] > score]
            line = {"lane": lane.key, **shared, "prompted": row["prompted"], "objects": objects}
            yield json.dumps(line) + "\n"


def annotated_clip(job: Job, lanes: Sequence[Lane], score: float) -> Path:
    """An mp4 of the answered frames with the lanes side by side; made once for each score.

    Raises InputError while nothing is answered, DataError if the clip cannot be read again.
    """
    count = len(job.records)
    if not count:
        raise InputError(f"{job.name}: no frame is answered yet")
    path = job.folder / f"annotated-{round(score * 100):03d}-{count}.mp4"
    with job.rendering:
        if not path.exists():
            frames = spoiled_frames(job, count)
            pictures = (_picture(frame, job, lanes, score) for frame in frames)
            write_video(path, pictures, job.fps)
    return path


def _picture(frame: VideoFrame, job: Job, lanes: Sequence[Lane], score: float) -> Tensor:
    record = job.records[frame.index]
    columns = []
    for lane, row in zip(lanes, record["lanes"], strict=True):
        rows = [
            (
                thing["box"],
                f"{thing['label']} {thing['score']:.2f}",
                class_colour(lane.classes.index(thing["label"])),
            )
            for thing in reversed(row["objects"])
            if thing["score"] > score
        ]
        columns.append(
            draw_boxes(frame.image, [*rows, ((0, 0, 0, 0), lane.title, (255, 255, 255))])
        )
    return torch.cat(columns, dim=2)
