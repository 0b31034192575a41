"""One target frame by frame with an exported model: `stpn_vot.tracker` in numpy.

State is a value; templates, support frames and lost targets are decided by the same functions.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import InputError, NumericsError
from stpn_data.crop_axes import Box
from stpn_vot.box_in_frame import check_box
from stpn_vot.judgement import TrackResult, may_support
from stpn_vot.runner.model import Array, Cache, ExportedTracker, Seen
from stpn_vot.search_region import SearchRegion, search_region
from stpn_vot.support_memory import SupportMemory
from stpn_vot.template_schedule import OnlineTemplates, first_templates
from stpn_vot.track_state import TargetState, answered, remembered, renewed
from stpn_vot.tracking_config import TrackingConfig, check_tracking

TrackState = TargetState[Array, Cache, tuple[Array, ...]]
"""Everything known of one target; see `TargetState`."""


def settings_for(model: ExportedTracker, config: TrackingConfig) -> TrackingConfig:
    """`config` with crop sizes of 0 replaced by those of the graphs. Raises InputError for others,
    or settings that cannot work."""
    check_tracking(config)
    for name in ("template_size", "search_size"):
        own = getattr(model.manifest.tracking, name)
        if getattr(config, name) not in (0, own):
            raise InputError(
                f"{name} {getattr(config, name)}: the graphs in {model.folder} are made for {own}; "
                f"export the weights again with --tracking.{name.replace('_', '-')}"
            )
    own = model.manifest.tracking
    return replace(config, template_size=own.template_size, search_size=own.search_size)


def start_tracking(
    model: ExportedTracker,
    frame: NDArray[np.uint8],
    box: Box,
    config: TrackingConfig | None = None,
) -> TrackState:
    """The state after a target's first frame, uint8 (3, H, W), where it is at `box`: x, y, w, h in
    pixels. config: None for what was exported. Raises InputError for a box that no target can
    have, or a configuration that cannot work."""
    config = settings_for(model, model.manifest.tracking if config is None else config)
    _check_frame(frame)
    box = check_box(box, frame.shape[1], frame.shape[2])
    templates = first_templates(_template(model, frame, box, config))
    cache = _encode(model, templates)
    state = TrackState(config, 0, box, box, 0, templates, cache, SupportMemory())
    if not _uses_prompts(model, config):
        return state
    crop, _ = model.crop(frame, box, config.search_factor, config.search_size)
    return remembered(state, model.embed(crop, cache), model.predict_prompts)


def track(
    model: ExportedTracker, state: TrackState, frame: NDArray[np.uint8]
) -> tuple[TrackResult, TrackState]:
    """Find the target on the next frame, uint8 (3, H, W). Raises InputError for another kind of
    frame, NumericsError if a box is NaN or infinite."""
    _check_frame(frame)
    before, config = state, state.config
    size = frame.shape[1], frame.shape[2]
    region = search_region(state.box, state.good, state.missed, config, *size)
    crop, scale = model.crop(frame, region.around, region.factor, config.search_size)
    seen = model.search(crop, state.cache, state.memory.prompts)
    result, state = _answer(state, seen, region, scale, size)
    support = None
    if _uses_prompts(model, config) and may_support(result, state.frame, region.usual, config):
        again = config.support == "clean" and before.memory.prompts is not None
        # as the templates were when the frame was searched
        support = model.embed(crop, before.cache) if again else seen.map
    state = renewed(
        state,
        result.score,
        lambda: _template(model, frame, result.box, config),
        lambda templates: _encode(model, templates),
    )
    if _uses_prompts(model, config) and state.frame % config.support_stride == 0:
        state = remembered(state, support, model.predict_prompts)
    return result, state


def _answer(
    state: TrackState, seen: Seen, region: SearchRegion, scale: float, size: tuple[int, int]
) -> tuple[TrackResult, TrackState]:
    if not np.isfinite(seen.box).all() or (seen.score is not None and math.isnan(seen.score)):
        raise NumericsError(
            f"frame {state.frame + 1} of a target: its box holds NaN or infinity: the weights are "
            "damaged"
        )
    start, end = seen.box[:2], seen.box[2:]
    predicted = np.concatenate([(start + end) / 2, end - start])
    return answered(state, predicted, seen.score, region, scale, size)


def _uses_prompts(model: ExportedTracker, config: TrackingConfig) -> bool:
    return config.prompts and model.has_prompts


def _encode(model: ExportedTracker, templates: OnlineTemplates[Array]) -> Cache:
    return model.encode_templates([templates.initial, *templates.online])


def _template(
    model: ExportedTracker, frame: NDArray[np.uint8], box: Box, config: TrackingConfig
) -> Array:
    return model.crop(frame, box, config.template_factor, config.template_size)[0]


def _check_frame(frame: NDArray[Any]) -> None:
    if frame.ndim != 3 or frame.shape[0] != 3 or frame.dtype != np.uint8 or not frame.size:
        raise InputError(f"a frame must be uint8 (3, H, W) RGB, got {frame.shape} {frame.dtype}")
