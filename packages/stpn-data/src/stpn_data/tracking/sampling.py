"""Which frames of a target make up a training clip (MixFormer, lib/train/data/sampler.py), and which
earlier ones support its search frame.

Pure functions from a random generator and times to times. Times count frames of a video from 0 and
come ascending, each once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.errors import DataError

Times = NDArray[np.int64]


@dataclass(frozen=True)
class Triplet:
    """Frames of the template, the online templates and the search region."""

    template: int
    online: tuple[int, ...]
    search: int


def causal(
    rng: np.random.Generator,
    visible: Times,
    length: int,
    *,
    online: int = 1,
    gap: int = 200,
    grow: int = 5,
) -> Triplet:
    """Frames for training boxes (stage 1): the search frame comes after the templates.

    The template is any visible frame; online templates are up to `gap` frames before it, with
    repeats, and the search frame less than `gap` after it. Where nothing is visible there, all is
    drawn again with `gap` larger by `grow`. length: frames of the video. A video of one frame is
    all three.

    Raises DataError if fewer than online + 2 frames are visible.
    """
    if length == 1 and len(visible) == 1:
        return Triplet(0, (0,) * online, 0)
    if len(visible) < online + 2:
        raise DataError(
            f"a clip of {online + 2} frames in order of time needs as many in which the target is "
            f"visible, not {len(visible)}"
        )
    while True:
        template = _one(rng, _within(visible, online, length - 1))
        before = _within(visible, template - gap, template)
        after = _within(visible, template + 1, template + gap)
        gap += grow
        if len(after) and (len(before) or not online):
            drawn = tuple(int(t) for t in rng.choice(before, online)) if online else ()
            return Triplet(template, drawn, _one(rng, after))


def trident(
    rng: np.random.Generator,
    visible: Times,
    boxed: Times,
    *,
    online: int = 1,
    gap: int = 200,
) -> Triplet:
    """Frames for training scores (stage 2, `trident_pro`): in any order of time.

    Template and search are any visible frames; online templates are of the `gap` frames next to the
    search frame, on the side of the template. boxed: frames with a box, visible or not, of which
    they are taken. Where there is none, all is drawn again.

    Raises DataError if no frame is visible.
    """
    if not len(visible):
        raise DataError("a clip needs a frame in which the target is visible")
    while True:
        template, search = _one(rng, visible), _one(rng, visible)
        low = search if template >= search else search - gap
        near = _within(boxed, low, low + gap)
        if len(near) or not online:
            drawn = tuple(int(t) for t in rng.choice(near, online)) if online else ()
            return Triplet(template, drawn, search)


def support_before(
    rng: np.random.Generator, visible: Times, search: int, *, count: int, reach: int
) -> list[int]:
    """`count` frames that support the search frame, ascending; never a later one.

    Visible frames from `reach` frames before it on; where these are too few, any visible frame
    before those; where these are too few too, the search frame itself, if it is visible. So fewer
    than `count`, or none, come only for a search frame without the target.
    """
    drawn: list[int] = []
    for pool in (_within(visible, search - reach, search), _within(visible, 0, search - reach)):
        picked = rng.choice(pool, min(count - len(drawn), len(pool)), replace=False)
        drawn += [int(t) for t in picked]
    if search in visible:
        drawn += [search] * (count - len(drawn))
    return sorted(drawn)


def _within(times: Times, low: int, high: int) -> Times:
    """Those of [low, high)."""
    first, last = np.searchsorted(times, (low, high))
    return times[first:last]


def _one(rng: np.random.Generator, times: Times) -> int:
    return int(times[rng.integers(len(times))])
