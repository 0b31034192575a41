"""Tests of a trained arm: which frames it is given as support, and whose.

Only the support differs between the tests of an arm: weights and tested frames are the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from stpn_data.index import VideoIndex
from stpn_data.sequence import EvalVideo, evaluation_videos
from stpn_data.support import counted_policy
from stpn_data.synthesize import read_record
from stpn_data.transforms import EvalResize
from stpn_vod.build import Detector
from stpn_vod.coco_ap import FrameBoxes, concat_boxes
from stpn_vod.config import EvalConfig
from stpn_vod.video_inference import detect_sequence

Whose = Literal["own", "other class", "same class", "none"]


@dataclass(frozen=True)
class Test:
    """whose: the support frames are of the video itself, of another one that shows another or the
    same class, or left out. per_side frames on each side, stride frames apart."""

    name: str
    whose: Whose = "own"
    stride: int = 8
    per_side: int = 7

    def config(self, base: EvalConfig) -> EvalConfig:
        """The evaluation's settings with this support."""
        return dataclasses.replace(
            base, policy="window", stride=self.stride, count=2 * self.per_side
        )


OWN = Test("own")
OTHER_CLASS = Test("other class", "other class")
EXTRA = (
    Test("same class", "same class"),
    Test("none", "none"),
    *(Test(f"S={stride}", stride=stride) for stride in (1, 2, 4, 16, 32)),
    *(Test(f"K={count}", per_side=count) for count in (1, 2, 3)),
)
"""Tests of the main arm; S and K as in the paper's ablation, K frames on each side."""


@dataclass(frozen=True)
class WithSupportOf(EvalVideo):
    """A video that takes its support frames from the video number `other`, at the same times."""

    other: int = 0

    def support(self, places: Sequence[int]) -> Tensor:
        other = EvalVideo(self.index, self.other, self.resize)
        return other.support([min(t, len(other) - 1) for t in places])


def detect(
    model: Detector, index: VideoIndex, config: EvalConfig, test: Test = OWN, seed: int = 0
) -> FrameBoxes:
    """Detections on every tested frame; the model must be in evaluation mode."""
    config = test.config(config)
    videos = evaluation_videos(index, EvalResize(config.short_side, config.long_side))
    if test.whose in ("other class", "same class"):
        pairs = strangers(index, same_class=test.whose == "same class", seed=seed)
        videos = [
            WithSupportOf(video.index, video.video, video.resize, other=pairs[video.video])
            for video in videos
        ]
    predictor = model.stpn.predictor
    if test.whose == "none":
        model.stpn.predictor = None
    parts = [
        FrameBoxes(
            np.full(len(found), frame.index, np.int64),
            found.boxes.double().numpy(),
            found.labels.numpy().astype(np.int64),
            found.scores.double().numpy(),
        )
        for video in videos
        for frame, found in detect_sequence(
            model,
            video,
            counted_policy(config.policy, config.count, config.stride),
            batch_size=config.batch_size,
            every=config.every,
        )
    ]
    model.stpn.predictor = predictor
    return concat_boxes(parts)


def strangers(index: VideoIndex, *, same_class: bool, seed: int) -> list[int]:
    """For every video another one, of another scene, with or without its class."""
    record = {video.name: video for video in read_record(index.root)}
    scenes = [record[name].scene for name in index.video_names]
    classes = [record[name].classes for name in index.video_names]
    rng = np.random.default_rng(seed)
    chosen = []
    for mine in range(index.num_videos):
        others = [
            v
            for v in range(index.num_videos)
            if scenes[v] != scenes[mine] and (classes[v] == classes[mine]) == same_class
        ]
        chosen.append(int(rng.choice(others)))
    return chosen
