"""Features of annotated objects by speed, as a detector's pyramid gives them (supplement, sec. 4).

n objects, C channels of the pyramid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from stpn_data.index import VideoIndex
from stpn_data.sequence import EvalVideo
from stpn_data.support import Policy
from stpn_data.transforms import EvalResize
from stpn_vod.explain.eigen_cam import common_stride, eigen_cam, heat_inside
from stpn_vod.explain.view import Arm, look
from stpn_vod.motion import EVERY_SPEED, SPEEDS, has_tracks, motion_iou
from stpn_vod.roi_align import pool_regions
from stpn_vod.video_inference import SupportCache

SMALLEST = 2  # pixels of the file along each side; a smaller box shows nothing


@dataclass(frozen=True, eq=False)
class ObjectSample:
    """Boxes of one speed group: rows (n,) of the index, ascending; of how many they were drawn."""

    speed: str
    rows: NDArray[np.int64]
    total: int


def sample_objects(index: VideoIndex, count: int, seed: int) -> list[ObjectSample]:
    """Up to `count` annotated boxes of each speed group, drawn by chance.

    One group of all speeds where a box has no track. Boxes whose image is missing are left out.
    """
    frames = _frame_of(index)
    sides = index.boxes[:, 2:] - index.boxes[:, :2]
    usable = (sides >= SMALLEST).all(1) & np.isfinite(index.boxes).all(1) & index.present[frames]
    tracked = has_tracks(index)
    motion = motion_iou(index) if tracked else np.ones(len(index.boxes))
    rng = np.random.default_rng(seed)
    samples = []
    for speed in SPEEDS if tracked else (EVERY_SPEED,):
        rows = np.flatnonzero(usable & speed.holds(motion))
        drawn = rng.choice(rows, min(count, len(rows)), replace=False)
        samples.append(ObjectSample(speed.name, np.sort(drawn).astype(np.int64), len(rows)))
    return samples


@dataclass(frozen=True, eq=False)
class ObjectFeatures:
    """What one detector's pyramid holds of n objects.

    pooled (n, C x 7 x 7): features in their boxes. heat (n, 2): of the frame of each, the share of
    its EigenCAM inside its annotated boxes, and the share of it that these cover.
    """

    pooled: NDArray[np.float32]
    heat: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> ObjectFeatures:
        """Those at `rows`."""
        return ObjectFeatures(self.pooled[rows], self.heat[rows])


def object_features(
    arm: Arm, index: VideoIndex, rows: NDArray[np.int64], policy: Policy, resize: EvalResize
) -> ObjectFeatures:
    """Features of the boxes `rows`, ascending, of `index`; each frame is encoded once."""
    pooled, heat = [], []
    bar = tqdm(total=len(rows), desc=f"objects, {arm.title}", unit="box")
    for video, places in _by_video(index, rows):
        cache = SupportCache(
            arm.detector.model, EvalVideo(index, video, resize, allow_missing=True)
        )
        for t, here in places:
            view = look(arm, cache, policy, t)
            scale = torch.tensor([*view.frame.scale, *view.frame.scale])
            boxes = (torch.from_numpy(index.boxes[here]) * scale).to(view.image.device)
            with torch.no_grad():
                found = pool_regions(view.pyramid, [boxes])
            pooled.append(found.flatten(1).cpu().numpy())
            every = torch.from_numpy(view.frame.annotation.boxes) * scale
            stride = common_stride(view.pyramid, view.size)
            cam = eigen_cam(view.pyramid, view.size, every, stride)
            heat += [heat_inside(cam, stride, every, view.size)] * len(here)
            bar.update(len(here))
    bar.close()
    return ObjectFeatures(np.concatenate(pooled), np.array(heat))


def videos_of(index: VideoIndex, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the video of each box."""
    return np.searchsorted(index.video_start, _frame_of(index)[rows], side="right") - 1


def _by_video(
    index: VideoIndex, rows: NDArray[np.int64]
) -> Iterator[tuple[int, list[tuple[int, NDArray[np.int64]]]]]:
    """Each video with the places of its frames, in order, and their rows."""
    frames = _frame_of(index)[rows]
    videos = videos_of(index, rows)
    for video in np.unique(videos).tolist():
        start = int(index.video_start[video])
        own = frames[videos == video]
        mine = rows[videos == video]
        yield video, [(int(f) - start, mine[own == f]) for f in np.unique(own)]


def _frame_of(index: VideoIndex) -> NDArray[np.int64]:
    return np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
