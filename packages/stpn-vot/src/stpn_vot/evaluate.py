"""Tracking whole videos of an index, sharded by video over ranks; the same numbers for any number.

A target is followed from its first box to the end of its video and never put back (one-pass).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stpn_core.errors import InputError
from stpn_core.training import Pace, Precision, World, autocast, gather_values
from stpn_data.ahead import ahead
from stpn_data.clips import read_frame
from stpn_data.errors import DataError
from stpn_data.index import VideoIndex, require_present
from stpn_data.sequence import EvalDegrade, shard_videos
from stpn_vot.metrics.got10k import Got10k, Tracked, got10k
from stpn_vot.metrics.overlap import Array
from stpn_vot.mixformer import MixFormer
from stpn_vot.targets import Target, target_of
from stpn_vot.tracker import check_box, start_tracking, track
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True, eq=False)
class Followed:
    """A tracker's way through one video: boxes (N, 4) x, y, w, h from the given one on, seconds (N,)
    of the tracker alone for each frame, and the size (width, height) of the frames."""

    boxes: Array
    seconds: Array
    size: tuple[int, int]


def evaluate(
    model: MixFormer,
    index: VideoIndex,
    config: TrackingConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, float]:
    """GOT-10k's numbers of `model` on `index`, the same on every rank: AO, SR50 and SR75 over all
    visible frames after the first, mAO and mSR50 (means over classes), and `frames`, how many count.

    One target per video: that of its first box. config: with crop sizes (`TrainedTracker.tracking`
    fills them in). All ranks must call it. Training mode is put back afterwards. stop: asked after
    each frame; as soon as it says yes on any rank, EvaluationStopped is raised on all of them.
    Raises DataError for frames without a file or a video without a box, InputError if no frame
    counts.
    """
    targets = [target_of(index, video) for video in range(index.num_videos)]
    if not any(target.visible[1:].any() for target in targets):
        raise InputError(
            f"{index.source}: has no annotated frame after the first ones to measure on, as the "
            "official test sets have none; take a validation split, or hold videos out: "
            "'train[90%:]'"
        )
    found = follow_all(
        model, index, config, world, precision=precision, degrade=degrade, stop=stop
    )  # fmt: skip
    numbers = got10k(
        {one.name: as_tracked(one, way) for one, way in zip(targets, found, strict=True)}
    )
    return as_numbers(numbers)


def follow_all(
    model: MixFormer,
    index: VideoIndex,
    config: TrackingConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> list[Followed]:
    """The way of each video's target, in order of the videos, on every rank. Arguments and errors
    as in `evaluate`."""
    rows: list[list[Any]] = []
    for video, _, way in followed(
        model, index, range(index.num_videos), config, world,
        precision=precision, degrade=degrade, stop=stop,
    ):  # fmt: skip
        boxes, seconds = torch.from_numpy(way.boxes), torch.from_numpy(way.seconds)
        rows.append([video, boxes, seconds, [*way.size]])
    every = sorted((row for rank in gather_values(rows) for row in rank), key=_video)
    return [
        Followed(boxes.numpy(), seconds.numpy(), (size[0], size[1]))
        for _, boxes, seconds, size in every
    ]


def followed(
    model: MixFormer,
    index: VideoIndex,
    videos: Sequence[int],
    config: TrackingConfig,
    world: World,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Target, Followed]]:
    """This rank's share of `videos`, one after the other, each with its target and its way.

    All ranks must go through it to its end. Training mode is put back then, or after an error.
    Arguments and errors as in `evaluate`.
    """
    require_present(index)
    lengths = np.diff(index.video_start)[list(videos)]
    shard = [videos[place] for place in shard_videos(lengths.tolist(), world.size)[world.rank]]
    targets = [target_of(index, video) for video in shard]
    total = sum(len(target.frames) for target in targets)
    pace = Pace(total, alone=world.size == 1, stop=stop)
    was_training = model.training
    model.eval()
    try:
        with tqdm(total=total, desc="track", unit="frame", disable=not world.is_main) as bar:

            def frame_done() -> None:
                bar.update()
                pace.frame_done()

            for video, target in zip(shard, targets, strict=True):
                bar.set_postfix_str(target.name)
                way = follow(
                    model, index, target, config,
                    precision=precision, degrade=degrade, on_frame=frame_done,
                )  # fmt: skip
                yield video, target, way
        pace.finish()
    finally:
        model.train(was_training)


def follow(
    model: MixFormer,
    index: VideoIndex,
    target: Target,
    config: TrackingConfig,
    *,
    precision: Precision = "fp32",
    degrade: EvalDegrade | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> Followed:
    """One target of `index` through its video; the model must be in evaluation mode. The next frame
    is decoded while one is looked at. Raises DataError for a box that no target can have."""
    device = next(model.parameters()).device
    boxes, seconds, size = [], [], (0, 0)
    state = None
    for frame in ahead(_frames(index, target, degrade)):
        begin = _now(device)
        with autocast(precision, device):
            if state is None:
                size = (frame.shape[2], frame.shape[1])
                try:
                    check_box(target.box, frame.shape[1], frame.shape[2])
                except InputError as error:
                    raise DataError(f"{target.name}: {error}") from error
                state = start_tracking(model, frame, target.box, config)
                boxes.append(target.box)  # as given, whatever the tracker makes of it
            else:
                result, state = track(model, state, frame)
                boxes.append(result.box)
        seconds.append(_now(device) - begin)
        on_frame()
    return Followed(np.array(boxes), np.array(seconds), size)


def as_tracked(target: Target, way: Followed) -> Tracked:
    """For the metrics: an index tells visible from not, so the cover is all or nothing."""
    return Tracked(
        target.truth,
        np.where(target.visible, 8.0, 0.0),
        way.boxes[None],
        way.size,
        way.seconds[:, None],
        target.object_class,
    )


def as_numbers(numbers: Got10k) -> dict[str, float]:
    """What a log keeps of them."""
    return {
        "AO": numbers.ao,
        "SR50": numbers.sr50,
        "SR75": numbers.sr75,
        "mAO": numbers.mean_class_ao,
        "mSR50": numbers.mean_class_sr50,
        "frames": float(numbers.frames),
    }


def _frames(index: VideoIndex, target: Target, degrade: EvalDegrade | None) -> Iterator[Tensor]:
    before = int(index.video_start[index.video_of(target.frames[0])])
    for frame in target.frames:
        image = read_frame(index, frame)
        yield image if degrade is None else degrade(image, target.name, frame - before)


def _now(device: torch.device) -> float:
    """Seconds, after what was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _video(row: list[Any]) -> int:
    return int(row[0])
