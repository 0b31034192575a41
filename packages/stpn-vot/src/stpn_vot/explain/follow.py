"""One target through a video, with prompts and without, and what happened on the way.

S the side of a search crop, S_t that of a template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_data.batch import MEAN, STD
from stpn_data.crop_axes import Box
from stpn_data.tracking.crops import cut
from stpn_data.video import VideoFrame
from stpn_vot.judgement import TrackResult
from stpn_vot.mixformer import MixFormer
from stpn_vot.search_region import SearchRegion, search_region
from stpn_vot.template_schedule import OnlineTemplates
from stpn_vot.tracker import TrackState, start_tracking, track
from stpn_vot.tracking_config import TrackingConfig


@dataclass(frozen=True, eq=False)
class Taken:
    """A template in use: uint8 (3, S_t, S_t), cut on frame `frame` (0 is the given box), used in
    slot `slot` (-1 the first template, for ever) from frame `start` on, to `end`, None if still."""

    pixels: Tensor
    frame: int
    slot: int
    start: int
    end: int | None = None


@dataclass(frozen=True, eq=False)
class Moment:
    """A frame to look at closely, as the tracker came to it. image (3, H, W) uint8; crop (3, S, S)
    uint8, what it searches; support: crops of its support frames by number."""

    number: int
    image: Tensor
    state: TrackState
    region: SearchRegion
    crop: Tensor
    support: dict[int, Tensor]
    result: TrackResult
    plain: TrackResult | None


@dataclass(frozen=True, eq=False)
class Way:
    """All of it: results of frames 1, 2, …, with prompts and (None without a predictor) without;
    numbers of the frames that became support frames; templates; moments."""

    first: Tensor
    box: Box
    results: tuple[TrackResult, ...]
    plain: tuple[TrackResult, ...] | None
    support: tuple[int, ...]
    templates: tuple[Taken, ...]
    moments: tuple[Moment, ...]


def follow(
    model: MixFormer,
    frames: Iterable[VideoFrame],
    box: Box,
    config: TrackingConfig,
    plain: TrackingConfig | None,
    chosen: Collection[int],
    on_frame: Callable[[], None] = lambda: None,
) -> Way:
    """Track `box` of the first frame. plain: the same settings without prompts. chosen: numbers of
    frames to look at closely. Holds no more frames than those and the support's crops.

    Raises InputError for a box that no target can have, NumericsError if a box is not finite.
    """
    stream = iter(frames)
    first = next(stream).image
    on_frame()
    state = start_tracking(model, first, box, config)
    other = None if plain is None else start_tracking(model, first, box, plain)
    results: list[TrackResult] = []
    others: list[TrackResult] = []
    moments: list[Moment] = []
    origin = _Origins(state.templates)
    crops = {0: _crop(first, SearchRegion(box, config.search_factor, True), config)}
    support = set(state.memory.frames)
    for number, frame in enumerate(stream, start=1):
        image, before = frame.image, state
        region = search_region(
            before.box, before.good, before.missed, config, image.shape[1], image.shape[2]
        )
        result, state = track(model, before, image)
        results.append(result)
        if other is not None:
            answer, other = track(model, other, image)
            others.append(answer)
        origin.see(number, state.templates)
        crop = _crop(image, region, config)
        if number in chosen:
            held = {place: crops[place] for place in before.memory.frames}
            away = others[-1] if others else None
            moments.append(Moment(number, image.clone(), before, region, crop, held, result, away))
        crops = {place: crops.get(place, crop) for place in state.memory.frames}
        support |= set(state.memory.frames)
        on_frame()
    return Way(
        first,
        box,
        tuple(results),
        tuple(others) if plain is not None else None,
        tuple(sorted(support)),
        tuple(origin.finished()),
        tuple(moments),
    )


class _Origins:
    """Where templates come from: they are the same objects wherever they stand."""

    def __init__(self, templates: OnlineTemplates[Tensor]) -> None:
        self._initial = templates.initial
        self._candidate, self._cut_on = templates.candidate, 0
        self._slots: dict[int, tuple[Tensor, Taken]] = {}
        self._done = [Taken(_pixels(templates.initial), 0, -1, 1)]
        self._enter(0, templates, 0)

    def see(self, number: int, templates: OnlineTemplates[Tensor]) -> None:
        """The templates after frame `number`."""
        renewed = templates.candidate is templates.initial
        if not renewed and templates.candidate is not self._candidate:
            self._candidate, self._cut_on = templates.candidate, number
        self._enter(number, templates, number)
        if renewed:
            self._candidate, self._cut_on = templates.candidate, 0

    def finished(self) -> list[Taken]:
        """All templates, by when they came into use."""
        still = [taken for _, taken in self._slots.values()]
        return sorted([*self._done, *still], key=lambda taken: (taken.start, taken.slot))

    def _enter(self, number: int, templates: OnlineTemplates[Tensor], now: int) -> None:
        for slot, tensor in enumerate(templates.online):
            old = self._slots.get(slot)
            if old is not None and old[0] is tensor:
                continue
            if old is not None:
                gone = old[1]
                self._done.append(Taken(gone.pixels, gone.frame, slot, gone.start, now))
            # a candidate may be cut on the very frame on which it enters
            cut_on = 0 if tensor is self._initial else self._origin(tensor, number)
            self._slots[slot] = tensor, Taken(_pixels(tensor), cut_on, slot, now + 1)

    def _origin(self, tensor: Tensor, number: int) -> int:
        return self._cut_on if tensor is self._candidate else number


def _crop(image: Tensor, region: SearchRegion, config: TrackingConfig) -> Tensor:
    return cut(image, region.around, region.factor, config.search_size).pixels


def _pixels(template: Tensor) -> Tensor:
    """uint8 of a normalised crop."""
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    return (template.cpu() * std + mean).round().clamp(0, 255).byte()
