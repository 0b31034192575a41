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
from stpn_vod.vid_ap import VidTruth

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


MakeCase = Callable[[int], tuple[VidTruth, FrameBoxes]]


@pytest.fixture
def make_case() -> MakeCase:
    return random_case


def random_case(seed: int, classes: int = 3) -> tuple[VidTruth, FrameBoxes]:
    """Crowded little frames on a coarse grid: equal IoUs, equal scores, duplicates, boxes that
    leave the image, boxes without width, empty frames, and motion values on the ends of groups."""
    rng = np.random.default_rng(seed)
    frames = np.sort(rng.choice(50, 8, replace=False))
    n, m = int(rng.integers(0, 25)), int(rng.integers(0, 45))
    where = np.sort(rng.choice(frames[:6], n))
    corners = rng.integers(-2, 8, (n, 2)) * 4.0
    boxes = np.concatenate([corners, corners + rng.integers(0, 5, (n, 2)) * 4.0], 1)
    truth = VidTruth(
        FrameBoxes(where, boxes, rng.integers(0, classes, n), np.ones(n)),
        frames,
        np.tile(np.array([[30, 24]], np.int32), (8, 1)) * rng.integers(0, 2, (8, 1)),
        rng.choice([0.0, 0.3, 0.7, 0.8, 0.9, 0.95, 1.0], n),
    )
    rows = rng.integers(0, n, m) if n else np.zeros(0, np.int64)
    near = boxes[rows] + rng.integers(-1, 2, (len(rows), 4)) * 2.0
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2])
    corner = rng.integers(0, 20, (3, 2)) * 1.0
    far = np.concatenate([corner, corner + 8], 1)
    labels = np.where(rng.random(len(rows)) < 0.2, 0, truth.boxes.labels[rows])
    found = FrameBoxes(
        np.concatenate([where[rows], rng.choice(frames, 3)]),
        np.concatenate([near, far]),
        np.concatenate([labels, rng.integers(0, classes, 3)]),
        rng.choice([0.1, 0.25, 0.5, 0.75, 0.9], len(rows) + 3),
    )
    return truth, found.take(rng.permutation(len(found)))
