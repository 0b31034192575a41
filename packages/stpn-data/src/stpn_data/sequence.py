"""Videos for evaluation: frames in order at test size, decoded ahead, sharded over ranks by video.

A video is never split: its prompts and memory belong to one process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stpn_data.clips import read_frame
from stpn_data.errors import DataError
from stpn_data.index import Boxes, VideoIndex, require_present
from stpn_data.transforms import EvalResize

EvalDegrade = Callable[[Tensor, str, int], Tensor]
"""uint8 frame (3,H,W), name of its video and place in it to a frame of the same shape."""


@dataclass(frozen=True)
class EvalFrame:
    """One frame of a video at network size, with its annotation in pixels of the file."""

    image: Tensor  # uint8 (3,h,w)
    video: int  # of the VideoIndex
    t: int  # place in the video, 0-based
    index: int  # frame of the VideoIndex
    name: str
    original_size: tuple[int, int]  # (h, w) of the file
    scale: tuple[float, float]  # (sx, sy) network pixels per pixel of the file
    annotation: Boxes
    annotated: bool  # False: nobody looked, so detections can be neither right nor wrong


@dataclass(frozen=True)
class EvalVideo:
    """One video: `frames()` in order, and `support()` for prompts made once per video.

    degrade: spoils each frame before it is resized, see `stpn_data.degrade.Condition`.
    threads: decode ahead; each keeps two frames.
    """

    index: VideoIndex
    video: int
    resize: EvalResize
    degrade: EvalDegrade | None = None
    threads: int = 1
    allow_missing: bool = False

    @property
    def name(self) -> str:
        return self.index.video_names[self.video]

    def __len__(self) -> int:
        return len(self.index.frames_of(self.video))

    def missing(self) -> list[int]:
        """Places t of frames that have no image file."""
        frames = self.index.frames_of(self.video)
        return np.flatnonzero(~self.index.present[frames.start : frames.stop]).tolist()

    def frames(self, every: int = 1) -> Iterator[EvalFrame]:
        """Frames 0, every, 2·every, … in order, decoded ahead.

        Raises DataError that names a missing or damaged file. With `allow_missing` frames without
        a file are left out (see `missing`); a damaged file is an error all the same.
        """
        skip = set(self.missing()) if self.allow_missing else set()
        waiting: deque[Future[EvalFrame]] = deque()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="stpn-decode")
        try:
            for t in range(0, len(self), every):
                if t in skip:
                    continue
                waiting.append(pool.submit(self.frame, t))
                if len(waiting) > 2 * self.threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def support(self, places: Sequence[int]) -> Tensor:
        """uint8 (K,3,h,w) of the frames at `places`; a frame asked for twice is decoded once.

        With `allow_missing` the nearest frame that has a file stands in for one that has none.
        """
        chosen = [self._stand_in(t) for t in places]
        decoded = {t: self.frame(t).image for t in sorted(set(chosen))}
        return torch.stack([decoded[t] for t in chosen])

    def frame(self, t: int) -> EvalFrame:
        """Frame t of the video."""
        frame = self.index.frames_of(self.video)[t]
        image = read_frame(self.index, frame)
        if self.degrade is not None:
            image = self.degrade(image, self.name, t)
        size = (image.shape[-2], image.shape[-1])
        geometry = self.resize.geometry(size)
        return EvalFrame(
            image=geometry.images(image),
            video=self.video,
            t=t,
            index=frame,
            name=self.index.frame_name(frame),
            original_size=size,
            scale=geometry.scale,
            annotation=self.index.boxes_of(frame),
            annotated=bool(self.index.annotated[frame]),
        )

    def _stand_in(self, t: int) -> int:
        missing = self.missing() if self.allow_missing else []
        if t not in missing:
            return t
        there = sorted(set(range(len(self))) - set(missing))
        return min(there, key=lambda other: abs(other - t), default=t)


def frame_batches(frames: Iterable[EvalFrame], size: int) -> Iterator[list[EvalFrame]]:
    """Runs of up to `size` frames of one shape, in order."""
    batch: list[EvalFrame] = []
    for frame in frames:
        if batch and (len(batch) == size or frame.image.shape != batch[0].image.shape):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch


def evaluation_videos(
    index: VideoIndex,
    resize: EvalResize,
    *,
    rank: int = 0,
    world_size: int = 1,
    degrade: EvalDegrade | None = None,
    threads: int = 2,
    allow_missing: bool = False,
) -> list[EvalVideo]:
    """The videos of this rank, in the order of the index.

    Raises DataError that counts the frames without a file, on every rank alike, unless
    `allow_missing`: numbers from part of a data set are not comparable.
    """
    if threads < 1 or not 0 <= rank < world_size:
        raise DataError(f"cannot evaluate with {threads} threads as rank {rank} of {world_size}")
    require_present(index, allow_missing=allow_missing)
    shards = shard_videos(np.diff(index.video_start).tolist(), world_size)
    return [EvalVideo(index, v, resize, degrade, threads, allow_missing) for v in shards[rank]]


def shard_videos(lengths: Sequence[int], world_size: int) -> list[list[int]]:
    """Video numbers for each rank, so that frames are spread evenly: longest video first, each to
    the rank that has the fewest frames. The ranks' videos are disjoint and complete."""
    shards: list[list[int]] = [[] for _ in range(world_size)]
    loads = [0] * world_size
    for video in sorted(range(len(lengths)), key=lambda v: -lengths[v]):
        rank = loads.index(min(loads))
        shards[rank].append(video)
        loads[rank] += lengths[video]
    return [sorted(shard) for shard in shards]
