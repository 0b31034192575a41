"""What a tracker makes of a box and its score: whether the target is lost, and what to remember.

Needs no torch: trackers with torch and without decide alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from stpn_data.crop_axes import Box
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True)
class TrackResult:
    """Where a target is on a frame: x, y, w, h in its pixels, not rounded.

    score: how sure the tracker is, 0 to 1; None from weights without a score head, which cannot
    tell whether a target is lost. lost: the score has been too low for some frames (`patience`);
    the box is a guess, then: with `redetect` the last one the tracker was sure of.
    """

    box: Box
    score: float | None
    lost: bool


def judge(
    box: Box, score: float | None, good: Box, missed: int, config: TrackingConfig
) -> tuple[TrackResult, Box, int]:
    """The result of a frame, and `good` and `missed` after it.

    box: found there, inside the frame. good: the last one with a score above the threshold. missed:
    frames in a row without the target.
    """
    if score is None:
        return TrackResult(box, None, False), box, missed
    sure = score > config.threshold
    was_lost = missed >= config.patience
    seen = sure if was_lost and config.redetect else score >= config.lost_below
    missed = 0 if seen else missed + 1
    lost = missed >= config.patience
    if lost and config.redetect:
        box = good
    return TrackResult(box, score, lost), box if sure else good, missed


def may_support(result: TrackResult, frame: int, usual: bool, config: TrackingConfig) -> bool:
    """Whether frame number `frame`, looked at as in training (`usual`) or not, becomes a support
    frame."""
    trusted = result.score is None or result.score > config.threshold
    return frame % config.support_stride == 0 and usual and trusted
