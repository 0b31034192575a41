"""Reference results of the published evaluators, read into an index and columns of detections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stpn_data.index import Video, VideoIndex, build_index
from stpn_vod.coco_ap import FrameBoxes

CLASSES = tuple(str(label) for label in range(1, 31))  # the files count labels from 1
NAMES = ("f1_vid_eval_small", "f2_vid_eval_medium", "f3_vid_eval_edge", "f4_vid_eval_score_ties")


@dataclass(frozen=True)
class Case:
    index: VideoIndex
    found: FrameBoxes
    motion: list[list[float]]  # by frame
    results: dict[str, Any]


def to_index(videos: list[dict[str, Any]]) -> VideoIndex:
    return build_index(
        Path("/nowhere"),
        CLASSES,
        "reference",
        [
            Video(
                name=f"v{video['id']}",
                folder="/nowhere",
                files=[f"{t:06d}.jpg" for t in range(len(video["frames"]))],
                sizes=np.tile(
                    np.array([video["width"], video["height"]], np.int32), (len(video["frames"]), 1)
                ),
                box_counts=np.array([len(frame["gt"]) for frame in video["frames"]]),
                boxes=np.array([o["bbox"] for o in gt], np.float32).reshape(-1, 4),
                labels=np.array([o["label"] - 1 for o in gt], np.int16),
                tracks=np.array([o["track_id"] for o in gt], np.int32),
            )
            for video in videos
            for gt in [[o for frame in video["frames"] for o in frame["gt"]]]
        ],
    )


def to_rows(videos: list[dict[str, Any]]) -> FrameBoxes:
    frames = [frame["dets"] for video in videos for frame in video["frames"]]
    rows = [(i, d["bbox"], d["label"] - 1, d["score"]) for i, ds in enumerate(frames) for d in ds]
    frame, boxes, labels, scores = zip(*rows, strict=True)
    return FrameBoxes(np.array(frame), np.array(boxes), np.array(labels), np.array(scores))


@pytest.fixture(params=NAMES)
def case(request, golden: Callable) -> Case:
    _, told = golden(f"vod/{request.param}")
    videos = told["data"]["videos"]
    return Case(to_index(videos), to_rows(videos), told["motion_iou"], told["results"])
