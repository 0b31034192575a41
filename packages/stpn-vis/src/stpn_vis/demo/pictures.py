"""The demo's pictures: frames with masks, and plots; as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

matplotlib.use("Agg")  # no screen is needed, and none may be there
import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from stpn_data.clips import read_frame
from stpn_data.index import VideoIndex
from stpn_vis.demo.arms import Arm
from stpn_vis.draw import draw_instances
from stpn_vis.instances import Instances
from stpn_vis.rle import Rle, area, decode
from stpn_vis.video_ap import Track

COLOURS = ("#8c8c8c", "#d1495b", "#edae49")
SCORE = 0.25  # segmenters that trained for minutes are seldom sure
ENLARGED = 3


def annotated(index: VideoIndex, frame: int, tracks: Sequence[Track]) -> bytes:
    """A frame enlarged, with the masks of `tracks` that score above SCORE; each track of a video
    has a number, and so a colour, of its own. A mask that comes with several classes has its best."""
    assert index.masks is not None
    video = index.video_of(frame)
    place = frame - index.frames_of(video).start
    label_of = {int(number): k for k, number in enumerate(index.masks.category_ids)}
    mine = [track for track in tracks if track.video == int(index.masks.video_ids[video])]
    shown: list[tuple[int, Track, Rle]] = []
    for number, track in enumerate(mine):  # best first
        mask = track.masks[place]
        known = [other["counts"] for _, _, other in shown]
        if track.score > SCORE and mask and area(mask) and mask["counts"] not in known:
            shown.append((number, track, mask))
    large = _enlarge(read_frame(index, frame)[None].float())[0].round().byte()
    height, width = large.shape[1:]
    masks = [torch.from_numpy(decode(mask))[None, None].float() for _, _, mask in shown]
    found = Instances(
        ids=torch.tensor([number for number, _, _ in shown], dtype=torch.int64),
        labels=torch.tensor([label_of[t.category] for _, t, _ in shown], dtype=torch.int64),
        scores=torch.tensor([track.score for _, track, _ in shown]),
        masks=torch.cat([torch.zeros(0, height, width), *(_enlarge(m)[0] for m in masks)]) > 0.5,
    )
    picture = draw_instances(large, found, index.classes)
    buffer = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(buffer, "PNG")
    return buffer.getvalue()


def example_frames(arm: Arm, count: int = 6, severity: float = 0.75) -> list[int]:
    """Frames to show: of each video the one nearest to `severity`, spread over the videos.

    Chosen by severity alone, never by who found what.
    """
    chosen = [
        min(arm.index.frames_of(v), key=lambda i: abs(arm.severity[i] - severity))
        for v in range(arm.index.num_videos)
    ]
    places = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)
    return [chosen[i] for i in places]


def ap_by_severity(arms: Sequence[Arm], bins: Sequence[str]) -> bytes:
    """AP50 frame by frame of each arm over the severity bins."""
    figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
    highest = max(100 * arm.by_frame[name]["AP50"] for arm in arms for name in bins)
    for arm, colour in zip(arms, COLOURS, strict=False):
        values = [100 * arm.by_frame[name]["AP50"] for name in bins]
        axis.plot(bins, values, marker="o", label=arm.title, color=colour)
        for x, value in enumerate(values):
            axis.annotate(f"{value:.0f}", (x, value), (0, 6), textcoords="offset points",
                          ha="center", fontsize=8, color=colour)  # fmt: skip
    axis.set(
        xlabel="degradation of the frame", ylabel="mask AP50", ylim=(0, max(1.25 * highest, 1))
    )
    axis.legend(frameon=False, loc="upper right")
    axis.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def losses(arms: Sequence[Arm]) -> bytes:
    """Loss of each arm while it trained; the auxiliary loss is left out of the sum."""
    figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
    for arm, colour in zip(arms, COLOURS, strict=False):
        rows = [row for row in arm.metrics if "loss" in row]
        values = [row["loss"] - row.get("loss_prompt_aux", 0.0) for row in rows]
        axis.plot([row["step"] for row in rows], values, label=arm.title, color=colour, lw=1)
    axis.set(xlabel="step", ylabel="loss of classes and masks", ylim=(0, None))
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _enlarge(pictures: Tensor) -> Tensor:
    return interpolate(pictures, scale_factor=ENLARGED, mode="bilinear")


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    plt.close(figure)
    return buffer.getvalue()
