"""A short video: what the twin sees, and what STPN sees, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from stpn_data.clips import read_frame
from stpn_data.video_write import write_video
from stpn_vod.coco_ap import FrameBoxes
from stpn_vod.demo.report import Arm
from stpn_vod.draw import class_colour, draw_boxes

SCORE = 0.25  # detectors that trained for minutes are seldom sure
HEIGHT = 256  # pixels; small frames are enlarged so that names can be read


def write_clip(arms: Sequence[Arm], path: Path, videos: int = 4, fps: float = 8) -> Path:
    """Write the first `videos` validation videos with the boxes of the first two arms."""
    index = arms[0].index
    frames = [i for v in range(min(videos, index.num_videos)) for i in index.frames_of(v)]
    write_video(path, _pictures(arms, frames), fps)
    return path


def _pictures(arms: Sequence[Arm], frames: Sequence[int]) -> Iterator[Tensor]:
    for frame in frames:
        yield torch.cat([annotated(arm, frame) for arm in arms[:2]], dim=2)


def annotated(arm: Arm, frame: int) -> Tensor:
    """One frame enlarged, with the boxes of `arm` that score above SCORE and the arm's name."""
    image = read_frame(arm.index, frame)
    factor = max(1.0, HEIGHT / image.shape[1])
    size = [round(side * factor) for side in image.shape[1:]]
    large = interpolate(image[None].float(), size=size, mode="bilinear")[0].round().byte()
    mine = arm.found.take((arm.found.frames == frame) & (arm.found.scores > SCORE))
    rows = list(reversed(_rows(mine, arm.index.classes, factor)))
    large = draw_boxes(large, rows)
    return draw_boxes(large, [((0, 0, 0, 0), arm.title, (255, 255, 255))])


def _rows(
    found: FrameBoxes, classes: Sequence[str], factor: float
) -> list[tuple[list[float], str, tuple[int, int, int]]]:
    order = np.argsort(-found.scores, kind="stable")
    return [
        (
            (found.boxes[i] * factor).tolist(),
            f"{classes[found.labels[i]]} {found.scores[i]:.2f}",
            class_colour(int(found.labels[i])),
        )
        for i in order
    ]
