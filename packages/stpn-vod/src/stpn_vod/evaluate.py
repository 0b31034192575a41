"""Evaluation over whole videos, sharded by video over ranks; the same numbers for any number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from stpn_core.training import Pace, Precision, World, autocast, gather_values
from stpn_data.index import VideoIndex
from stpn_data.sequence import EvalDegrade, EvalFrame, EvalVideo, evaluation_videos
from stpn_data.support import counted_policy
from stpn_data.transforms import EvalResize
from stpn_vod.build import Detector
from stpn_vod.coco_ap import FrameBoxes, coco_ap, concat_boxes
from stpn_vod.config import EvalConfig
from stpn_vod.detections import Detections
from stpn_vod.video_inference import detect_sequence


def evaluate(
    model: Detector,
    index: VideoIndex,
    config: EvalConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """COCO numbers of `model` on `index` (see `coco_ap` for names), the same on every rank.

    Arguments and errors as in `detect_all`.
    """
    found = detect_all(
        model, index, config, world, precision=precision, degrade=degrade, stop=stop
    )  # fmt: skip
    return dict(coco_ap(ground_truth(index, config.every), found, index.classes))


def detect_all(
    model: Detector,
    index: VideoIndex,
    config: EvalConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> FrameBoxes:
    """Detections on every tested frame of `index`, in order of frames, on every rank.

    All ranks must call it. Training mode is put back afterwards. stop: asked now and then; as soon
    as it says yes on any rank, EvaluationStopped is raised on all of them.
    """
    videos = evaluation_videos(
        index,
        EvalResize(config.short_side, config.long_side, config.resampling),
        rank=world.rank,
        world_size=world.size,
        degrade=degrade,
        allow_missing=config.allow_missing,
    )
    policy = counted_policy(config.policy, config.count, config.stride)
    was_training = model.training
    model.eval()
    parts: list[FrameBoxes] = []
    total = sum(_tested(video, config.every) for video in videos)
    pace = Pace(total, alone=world.size == 1, stop=stop)
    try:
        with (
            tqdm(total=total, desc="evaluate", unit="frame", disable=not world.is_main) as bar,
            autocast(precision, world.device),
        ):
            for video in videos:
                for frame, detections in detect_sequence(
                    model,
                    video,
                    policy,
                    batch_size=config.batch_size,
                    every=config.every,
                    only_annotated=True,
                ):
                    parts.append(_rows(frame, detections))
                    bar.update()
                    pace.frame_done()
        pace.finish()
    finally:
        model.train(was_training)
    return _gather(concat_boxes(parts))


def frames_to_test(index: VideoIndex, every: int = 1) -> NDArray[np.int64]:
    """Numbers of the frames that count: every `every`-th of each video, if it is annotated and its
    image file is there."""
    frames = np.concatenate(
        [np.arange(0), *(np.asarray(index.frames_of(v))[::every] for v in range(index.num_videos))]
    ).astype(np.int64)
    return frames[index.annotated[frames] & index.present[frames]]


def ground_truth(
    index: VideoIndex, every: int = 1, keep: Callable[[int], bool] | None = None
) -> FrameBoxes:
    """Annotated boxes of the tested frames, as annotated. keep: chooses frames by number."""
    frames = frames_to_test(index, every)
    if keep is not None:
        frames = np.array([i for i in frames.tolist() if keep(i)], np.int64)
    counts = index.box_start[frames + 1] - index.box_start[frames]
    rows = np.concatenate(
        [np.zeros(0, np.int64)]
        + [np.arange(index.box_start[i], index.box_start[i + 1]) for i in frames.tolist()]
    )
    return FrameBoxes(
        np.repeat(frames, counts),
        index.boxes[rows].astype(np.float64),
        index.labels[rows].astype(np.int64),
        np.ones(len(rows)),
    )


def _tested(video: EvalVideo, every: int) -> int:
    frames = np.asarray(video.index.frames_of(video.video))[::every]
    return int((video.index.annotated[frames] & video.index.present[frames]).sum())


def _rows(frame: EvalFrame, found: Detections) -> FrameBoxes:
    return FrameBoxes(
        np.full(len(found), frame.index, np.int64),
        found.boxes.double().numpy(),
        found.labels.numpy().astype(np.int64),
        found.scores.double().numpy(),
    )


def _gather(own: FrameBoxes) -> FrameBoxes:
    """Every rank's rows in order of frames: the order, and so every tie, is that of one process."""
    columns: list[Tensor] = [
        torch.from_numpy(column) for column in (own.frames, own.boxes, own.labels, own.scores)
    ]
    parts = [FrameBoxes(*(c.numpy() for c in rank)) for rank in gather_values(columns)]
    joined = concat_boxes(parts)
    return joined.take(np.argsort(joined.frames, kind="stable"))
