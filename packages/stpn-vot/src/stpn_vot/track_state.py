"""Everything known of one target, and how a frame changes it.

Needs no torch: trackers with torch and without go through the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from stpn_data.crop_axes import Box
from stpn_vot.box_in_frame import clip_box, map_back
from stpn_vot.judgement import TrackResult, judge
from stpn_vot.search_region import SearchRegion
from stpn_vot.support_memory import SupportMemory, remember
from stpn_vot.template_schedule import OnlineTemplates, UpdateRule, after_frame
from stpn_vot.tracking_config import TrackingConfig

M = TypeVar("M")
C = TypeVar("C")
P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class TargetState(Generic[M, C, P]):
    """Its size is bounded by the configuration, not by the video.

    frame: frames tracked since the first one. box: the last box; good: the last one with a score
    above the threshold. missed: frames in a row without the target. cache: keys and values of
    `templates`, kept until those change. M: crops and maps, C: that cache, P: prompts.
    """

    config: TrackingConfig
    frame: int
    box: Box
    good: Box
    missed: int
    templates: OnlineTemplates[M]
    cache: C
    memory: SupportMemory[M, P]


def answered(
    state: TargetState[M, C, P],
    predicted: NDArray[Any],
    score: float | None,
    region: SearchRegion,
    scale: float,
    size: tuple[int, int],
) -> tuple[TrackResult, TargetState[M, C, P]]:
    """Result and state after the next frame, but for templates and support frames.

    predicted: cx, cy, w, h in the crop, as shares of its side. scale: crop pixels per frame pixel.
    size: height and width of the frame.
    """
    mapped = map_back(predicted, region.around, state.config.search_size, scale)
    box = clip_box(mapped, *size, state.config.clip_margin)
    result, good, missed = judge(box, score, state.good, state.missed, state.config)
    after = replace(state, frame=state.frame + 1, box=result.box, good=good, missed=missed)
    return result, after


def renewed(
    state: TargetState[M, C, P],
    score: float | None,
    cut: Callable[[], M],
    encode: Callable[[OnlineTemplates[M]], C],
) -> TargetState[M, C, P]:
    """The state with the templates after its frame. cut: the template at the box just found; encode:
    keys and values of templates, called only if they changed."""
    if score is None:
        return state
    config = state.config
    rule = UpdateRule(config.interval, config.slots, config.decay, config.threshold)
    templates = after_frame(state.templates, rule, state.frame, score, cut)
    if templates.online is state.templates.online:
        return replace(state, templates=templates)
    return replace(state, templates=templates, cache=encode(templates))


def remembered(
    state: TargetState[M, C, P], found: M | None, predict: Callable[[Sequence[M]], P]
) -> TargetState[M, C, P]:
    """The state that knows of its frame as a support frame. Arguments as in `remember`."""
    config = state.config
    memory = remember(
        state.memory,
        state.frame,
        found,
        predict,
        count=config.support_count,
        stride=config.support_stride,
    )
    return replace(state, memory=memory)
