"""What a training clip is made of: which targets, which frames, and the boxes to cut around.

Nothing is decoded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stpn_data.errors import DataError
from stpn_data.tracking.crops import Box
from stpn_data.tracking.sampling import Triplet, causal, support_before, trident
from stpn_data.tracking.targets import Targets

Stage = Literal["causal", "trident"]


@dataclass(frozen=True)
class Sampling:
    """How frames are chosen.

    stage: "causal" to train boxes, "trident" to train scores. online: online templates. gap: frames
    that one looks for templates and search in. negatives: share of clips whose search crop does not
    show the target; "trident" only.
    """

    stage: Stage = "causal"
    online: int = 1
    gap: int = 200
    negatives: float = 0.5

    def __post_init__(self) -> None:
        if self.stage not in ("causal", "trident"):
            raise DataError(f'stage is "causal" or "trident", not {self.stage!r}')
        if self.online < 0 or self.gap < 1 or not 0 <= self.negatives <= 1:
            raise DataError(
                "sampling needs online >= 0, gap >= 1 and negatives from 0 to 1; got "
                f"{self.online}, {self.gap} and {self.negatives}"
            )


@dataclass(frozen=True)
class SupportSampling:
    """How support frames are chosen.

    count: per clip. frames, stride: a tracker keeps `frames` of them, `stride` apart, so they are
    drawn from the `frames * stride` frames before the search frame. swap: share of clips whose
    support is of another video. dropout: share of clips without support.
    """

    count: int = 2
    frames: int = 7
    stride: int = 8
    swap: float = 0.1
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.count < 0 or self.frames < 1 or self.stride < 1:
            raise DataError(
                "support needs count >= 0, frames >= 1 and stride >= 1; got "
                f"{self.count}, {self.frames} and {self.stride}"
            )
        if min(self.swap, self.dropout) < 0 or self.swap + self.dropout > 1:
            raise DataError(
                "swap and dropout are shares of the clips and may not exceed 1 together; got "
                f"{self.swap} and {self.dropout}"
            )


@dataclass(frozen=True)
class Place:
    """Where to cut: a frame of one of the data sets, and the box that the crop is around."""

    data: int
    frame: int  # of the index
    box: Box | None  # None: a box in the middle of the frame, whose size is not known yet


@dataclass(frozen=True)
class Draw:
    """One clip. positive: the search frame shows the target."""

    data: int
    target: int
    template: Place
    online: tuple[Place, ...]
    search: Place
    positive: bool
    support_of: tuple[int, int, int]  # data set, target and time that the support comes before


class TargetPool:
    """Targets of several data sets. weights: how often each set is drawn; targets of a set are drawn
    alike.

    Raises DataError for weights that do not fit.
    """

    def __init__(self, sets: Sequence[Targets], weights: Sequence[float] | None = None) -> None:
        given = np.asarray([1.0] * len(sets) if weights is None else weights, np.float64)
        if not len(sets) or given.shape != (len(sets),):
            raise DataError(f"{len(sets)} data sets and {given.size} weights; need one each")
        if not np.isfinite(given).all() or (given <= 0).any():
            raise DataError(f"weights of data sets must be above 0, got {given.tolist()}")
        self.sets = tuple(sets)
        self.weights = given / given.sum()
        # whether all targets are of one video
        self.one_video = len(sets) == 1 and bool((sets[0].video == sets[0].video[0]).all())

    def draw(self, rng: np.random.Generator) -> tuple[int, int]:
        """A data set and a target of it."""
        data = int(rng.choice(len(self.sets), p=self.weights)) if len(self.sets) > 1 else 0
        return data, int(rng.integers(len(self.sets[data])))

    def draw_other(self, rng: np.random.Generator, data: int, target: int) -> tuple[int, int]:
        """As `draw`, of another video; there must be one."""
        while True:
            other = self.draw(rng)
            if other[0] != data or self.sets[data].video[other[1]] != self.sets[data].video[target]:
                return other

    def place(self, data: int, target: int, time: int) -> Place:
        targets = self.sets[data]
        return Place(data, targets.first_frame(target) + time, targets.box(target, time))


def check_sampling(pool: TargetPool, sampling: Sampling) -> None:
    """Raises DataError if a target is visible in too few frames for a clip, or clips without the
    target are asked for and there can be none."""
    need = sampling.online + 2
    for targets in pool.sets if sampling.stage == "causal" else ():
        few = np.flatnonzero((targets.visible_frames < need) & ~targets.still)
        if len(few):
            raise DataError(
                f"{targets.index.source}: {targets.name(int(few[0]))} is visible in "
                f"{targets.visible_frames[few[0]]} frames, as {len(few)} targets are in fewer than "
                f"the {need} of a clip with {sampling.online} online templates; find_targets takes "
                "a TargetRule with a larger min_visible"
            )
    if sampling.stage != "trident" or not sampling.negatives or not pool.one_video:
        return
    targets = pool.sets[0]
    if not any(len(targets.times_without(target)) for target in range(len(targets))):
        raise DataError(
            f"{targets.index.source}: search frames without the target are asked for, but there is "
            "one video and it always shows its targets; use more videos, or negatives=0"
        )


def draw_clip(pool: TargetPool, sampling: Sampling, rng: np.random.Generator) -> Draw:
    """A random clip.

    A negative one searches a frame of the video without the target, around a box in its middle, or,
    if there is none, any box of another video. If there is no other video, it is a positive one.
    """
    data, target = pool.draw(rng)
    targets = pool.sets[data]
    visible, length = targets.times(target), targets.length(target)
    if sampling.stage == "causal":
        times = causal(rng, visible, length, online=sampling.online, gap=sampling.gap)
        return _draw(pool, data, target, times)
    boxed = targets.times(target, absent=True)
    times = trident(rng, visible, boxed, online=sampling.online, gap=sampling.gap)
    if rng.random() >= sampling.negatives:
        return _draw(pool, data, target, times)
    empty = targets.times_without(target)
    if len(empty):
        time = int(rng.choice(empty))
        search = Place(data, targets.first_frame(target) + time, None)
        return _draw(pool, data, target, times, search, time)
    if pool.one_video:
        return _draw(pool, data, target, times)
    other = pool.draw_other(rng, data, target)
    anywhere = pool.sets[other[0]].times(other[1], absent=True)
    search = pool.place(*other, int(rng.choice(anywhere)))
    return _draw(pool, data, target, times, search)


def draw_support(
    pool: TargetPool, draw: Draw, settings: SupportSampling, rng: np.random.Generator
) -> list[Place]:
    """Up to `count` places that support a clip's search frame; none where they are dropped."""
    chance = rng.random()
    data, target, time = draw.support_of
    if settings.count == 0 or chance < settings.dropout:
        return []
    if chance < settings.dropout + settings.swap and not pool.one_video:
        data, target = pool.draw_other(rng, data, target)
        time = int(rng.choice(pool.sets[data].times(target)))
    reach = settings.frames * settings.stride
    visible = pool.sets[data].times(target)
    times = support_before(rng, visible, time, count=settings.count, reach=reach)
    return [pool.place(data, target, t) for t in times]


def _draw(
    pool: TargetPool,
    data: int,
    target: int,
    times: Triplet,
    negative: Place | None = None,
    negative_time: int | None = None,
) -> Draw:
    return Draw(
        data=data,
        target=target,
        template=pool.place(data, target, times.template),
        online=tuple(pool.place(data, target, time) for time in times.online),
        search=negative or pool.place(data, target, times.search),
        positive=negative is None,
        # a search frame of another video has no past; a tracker still has the target's
        support_of=(data, target, times.search if negative_time is None else negative_time),
    )
