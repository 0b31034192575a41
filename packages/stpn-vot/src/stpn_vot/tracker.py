"""Targets of a video frame by frame: a function from (state, frame) to (result, state).

State is a value: any number of targets, started at any time, share one network and one video, and
a stream may be a file, a camera or a pipe. Nothing reads ahead and a state does not grow.

With prompts off this is MixFormer's tracker (lib/test/tracker/mixformer_cvt_online.py).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core import Prompts
from stpn_core.errors import InputError, NumericsError
from stpn_data.batch import normalise
from stpn_data.tracking.crops import Box, cut
from stpn_vot.box_geometry import cxcywh_of_corners
from stpn_vot.box_in_frame import check_box as check_box
from stpn_vot.judgement import TrackResult as TrackResult
from stpn_vot.judgement import may_support
from stpn_vot.mixformer import Located, MixFormer
from stpn_vot.prompt_rows import join_prompts
from stpn_vot.search_region import SearchRegion, search_region
from stpn_vot.support_memory import SupportMemory
from stpn_vot.template_cache import TemplateCache, join_caches
from stpn_vot.template_schedule import OnlineTemplates, first_templates
from stpn_vot.track_state import TargetState, answered, remembered, renewed
from stpn_vot.tracking_config import TrackingConfig, check_tracking

TrackState = TargetState[Tensor, TemplateCache, Prompts]
"""Everything known of one target; see `TargetState`."""


@dataclass(frozen=True, eq=False)
class _Look:
    """One target's search: which of the targets, its state, and the crop (3, S, S), normalised."""

    index: int
    state: TrackState
    region: SearchRegion
    crop: Tensor
    scale: float


@torch.no_grad()
def start_tracking(model: MixFormer, frame: Tensor, box: Box, config: TrackingConfig) -> TrackState:
    """The state after a target's first frame, uint8 (3, H, W), where it is at `box`: x, y, w, h in
    pixels.

    The model must be in evaluation mode; crops go to the device of its weights. Raises InputError
    for a box without area, not finite or outside the frame, or a configuration that cannot work,
    such as one without crop sizes (`TrainedTracker.tracking` fills them in).
    """
    check_tracking(config)
    if not (config.template_size and config.search_size):
        raise InputError("template_size and search_size: say for which crops the weights are made")
    _check_frame(frame)
    box = check_box(box, frame.shape[1], frame.shape[2])
    templates = first_templates(_template(model, frame, box, config))
    cache = _encode(model, templates)
    state = TrackState(config, 0, box, box, 0, templates, cache, SupportMemory())
    if not _uses_prompts(model, config):
        return state
    region = SearchRegion(box, config.search_factor, True)
    look = _look(model, 0, state, region, frame)
    return _remember(model, state, _clean(model, [look])[0])


def track(model: MixFormer, state: TrackState, frame: Tensor) -> tuple[TrackResult, TrackState]:
    """Find the target on the next frame, uint8 (3, H, W); see `track_together`."""
    return track_together(model, [state], frame)[0]


@torch.no_grad()
def track_together(
    model: MixFormer, states: Sequence[TrackState], frame: Tensor
) -> list[tuple[TrackResult, TrackState]]:
    """Find several targets on the next frame, uint8 (3, H, W): their search regions are one batch.

    Targets may have been started at different frames. Results are those of each alone, up to the
    order in which numbers are added. Raises InputError for another kind of frame, NumericsError if
    a box is NaN or infinite.
    """
    _check_frame(frame)
    height, width = frame.shape[1:]
    groups: dict[tuple[int, int], list[_Look]] = {}
    for index, state in enumerate(states):
        region = search_region(state.box, state.good, state.missed, state.config, height, width)
        look = _look(model, index, state, region, frame)
        keys = state.cache.blocks[0][0].shape[2]
        groups.setdefault((keys, state.config.search_size), []).append(look)
    found: dict[int, tuple[TrackResult, TrackState]] = {}
    for looks in groups.values():
        found |= _search(model, looks, frame)
    return [found[index] for index in range(len(states))]


def _search(
    model: MixFormer, looks: list[_Look], frame: Tensor
) -> dict[int, tuple[TrackResult, TrackState]]:
    """Results and states by number of the target, for targets with as many templates."""
    cache = _cache(looks)
    prompts, marked = join_prompts([look.state.memory for look in looks])
    search = torch.stack([look.crop for look in looks])
    features = model.encode_search(search, cache, prompts, marked.to(search.device))
    located = model.locate(features, cache)
    answers = [_answer(located, row, look, frame) for row, look in enumerate(looks)]
    maps = _support_maps(model, looks, answers, features)
    found = {}
    for look, (result, state), support in zip(looks, answers, maps, strict=True):
        state = renewed(
            state,
            result.score,
            functools.partial(_template, model, frame, result.box, state.config),
            functools.partial(_encode, model),
        )
        if _uses_prompts(model, state.config) and state.frame % state.config.support_stride == 0:
            state = _remember(model, state, support)
        found[look.index] = (result, state)
    return found


def _answer(
    located: Located, row: int, look: _Look, frame: Tensor
) -> tuple[TrackResult, TrackState]:
    """Result and state but for templates and support frames."""
    state = look.state
    predicted = cxcywh_of_corners(located.boxes[row])
    score = None if located.scores is None else float(located.scores[row].float().sigmoid())
    if not predicted.isfinite().all() or (score is not None and math.isnan(score)):
        raise NumericsError(
            f"frame {state.frame + 1} of a target: its box holds NaN or infinity: the weights are "
            "damaged, or the precision is too low for them; try --precision fp32"
        )
    found = predicted.float().cpu().numpy()
    size = frame.shape[1], frame.shape[2]
    return answered(state, found, score, look.region, look.scale, size)


def _support_maps(
    model: MixFormer,
    looks: list[_Look],
    answers: list[tuple[TrackResult, TrackState]],
    features: Tensor,
) -> list[Tensor | None]:
    """For each target its map (h, w, C) as a support frame; None if it is not to become one."""
    maps: list[Tensor | None] = [None] * len(looks)
    again: list[int] = []
    for row, (look, (result, state)) in enumerate(zip(looks, answers, strict=True)):
        config = state.config
        due = may_support(result, state.frame, look.region.usual, config)
        if not (due and _uses_prompts(model, config)):
            continue
        if config.support == "clean" and look.state.memory.prompts is not None:
            again.append(row)
        else:  # a copy, or one target's map would keep those of all
            maps[row] = features[row].permute(1, 2, 0).clone()
    if again:
        clean = _clean(model, [looks[row] for row in again])
        for row, found in zip(again, clean, strict=True):
            maps[row] = found
    return maps


def _cache(looks: list[_Look]) -> TemplateCache:
    caches = [look.state.cache for look in looks]
    return caches[0] if len(caches) == 1 else join_caches(caches)


def _clean(model: MixFormer, looks: list[_Look]) -> list[Tensor]:
    """Maps (h, w, C) of search regions without prompts."""
    cache = _cache(looks)
    crops = torch.stack([look.crop for look in looks])[:, None]
    return [found[0].clone() for found in model.embed_support(crops, cache)]


def _remember(model: MixFormer, state: TrackState, found: Tensor | None) -> TrackState:
    def predict(maps: Sequence[Tensor]) -> Prompts:
        return model.predict_prompts(torch.stack(list(maps))[None])

    return remembered(state, found, predict)


def _uses_prompts(model: MixFormer, config: TrackingConfig) -> bool:
    return config.prompts and model.predictor is not None


def _encode(model: MixFormer, templates: OnlineTemplates[Tensor]) -> TemplateCache:
    return model.encode_templates(torch.stack([templates.initial, *templates.online])[None])


def _look(
    model: MixFormer, index: int, state: TrackState, region: SearchRegion, frame: Tensor
) -> _Look:
    crop, scale = _crop(model, frame, region.around, region.factor, state.config.search_size)
    return _Look(index, state, region, crop, scale)


def _template(model: MixFormer, frame: Tensor, box: Box, config: TrackingConfig) -> Tensor:
    return _crop(model, frame, box, config.template_factor, config.template_size)[0]


def _crop(
    model: MixFormer, frame: Tensor, box: Box, factor: float, size: int
) -> tuple[Tensor, float]:
    crop = cut(frame, box, factor, size)
    device = next(model.parameters()).device
    return normalise(crop.pixels.to(device)), crop.scale


def _check_frame(frame: Tensor) -> None:
    if frame.ndim != 3 or frame.shape[0] != 3 or frame.dtype != torch.uint8 or not frame.numel():
        raise InputError(
            f"a frame must be uint8 (3, H, W) RGB, got {tuple(frame.shape)} {frame.dtype}"
        )
