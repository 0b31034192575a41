"""Frames with the boxes of a tracker and of the annotation, for the page and as a clip."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stpn_data.clips import read_frame
from stpn_data.index import VideoIndex
from stpn_data.video_write import write_video
from stpn_vot.demo.arms import Arm
from stpn_vot.metrics.overlap import box_iou
from stpn_vot.targets import target_of

SHOWN = 0.75  # severity of the frames that are shown
HEIGHT = 288  # pixels; small frames are enlarged so that boxes can be told apart
TRUTH, FOUND = (255, 255, 255), ((209, 73, 91), (64, 196, 120))


def annotated(index: VideoIndex, video: int, place: int, arm: Arm, colour: int) -> Tensor:
    """Frame `place` of a target's way, enlarged, uint8 (3, H, W): the annotation white, the arm's box
    in colour `colour`, its name and its overlap."""
    target = target_of(index, video)
    image = read_frame(index, target.frames[place])
    factor = max(1.0, HEIGHT / image.shape[1])
    size = [round(side * factor) for side in (image.shape[2], image.shape[1])]
    page = Image.fromarray(image.permute(1, 2, 0).numpy())
    page = page.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    box, truth = arm.tracked[target.name].boxes[0, place], target.truth[place]
    said = f"{arm.title}: target gone"
    if target.visible[place]:
        _rectangle(pen, truth * factor, TRUTH)
        said = f"{arm.title}: overlap {float(box_iou(box[None], truth[None])[0]):.2f}"
    _rectangle(pen, box * factor, FOUND[colour])
    left, top, right, bottom = pen.textbbox((5, 3), said, font=font)
    pen.rectangle((left - 5, top - 4, right + 5, bottom + 4), fill=(0, 0, 0))
    pen.text((5, 3), said, fill=FOUND[colour], font=font)
    return torch.from_numpy(np.asarray(page).copy()).permute(2, 0, 1)


def example_frames(
    index: VideoIndex, severity: Mapping[str, Sequence[float]], count: int = 8
) -> list[tuple[int, int]]:
    """Video and place of the frames to show: of each video the one nearest to SHOWN in which the
    target is seen, spread over the videos. Chosen by severity alone, never by who found what."""
    chosen = []
    for video in range(index.num_videos):
        target = target_of(index, video)
        places = [place for place in range(1, len(target.frames)) if target.visible[place]]
        if places:
            values = severity[target.name]
            chosen.append((video, min(places, key=lambda place: abs(values[place] - SHOWN))))
    spread = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)
    return [chosen[i] for i in spread]


def write_clip(
    path: Path, index: VideoIndex, arms: Sequence[Arm], videos: int = 4, fps: float = 6
) -> Path:
    """Write the first `videos` videos with the first two arms side by side."""
    write_video(path, _pictures(index, arms, min(videos, index.num_videos)), fps)
    return path


def as_png(image: Tensor) -> bytes:
    """A PNG file of uint8 (3, H, W)."""
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def _pictures(index: VideoIndex, arms: Sequence[Arm], videos: int) -> Iterator[Tensor]:
    for video in range(videos):
        for place in range(len(target_of(index, video).frames)):
            pair = [annotated(index, video, place, arm, i) for i, arm in enumerate(arms[:2])]
            yield torch.cat(pair, dim=2)


def _rectangle(pen: ImageDraw.ImageDraw, box: np.ndarray, colour: tuple[int, int, int]) -> None:
    x, y, w, h = box.tolist()
    pen.rectangle((x, y, max(x, x + w - 1), max(y, y + h - 1)), outline=colour, width=2)
