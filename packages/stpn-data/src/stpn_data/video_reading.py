"""Reading a video while somebody may ask to stop, and frames spread over all of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from stpn_data.support import uniform

if TYPE_CHECKING:
    from torch import Tensor

    from stpn_data.video import VideoFrame

Asked = Callable[[], bool]
"""Whether the user has asked to stop."""


class Stopped(Exception):
    """The user asked to stop; goes through a stream, so that it does not finish its frames."""


class Frames(Protocol):
    """A video that can be read more than once, such as a `VideoSource`."""

    @property
    def length_hint(self) -> int | None: ...
    def __iter__(self) -> Iterator[VideoFrame]: ...


def taken(video: Iterable[VideoFrame], most: int, asked: Asked) -> Iterator[VideoFrame]:
    """The first `most` frames, all for 0. Raises Stopped at the next frame once `asked` is true."""
    for frame in itertools.islice(video, most or None):
        if asked():
            raise Stopped
        yield frame


def spread(video: Frames, count: int, most: int, asked: Asked) -> list[Tensor]:
    """`count` frames spread over the first `most` frames (0: the whole video), all of one size.

    Two passes, since no container's length can be trusted. Raises Stopped as `taken` does.
    """
    total = expected_frames(video, most)
    frames = tqdm(taken(video, most, asked), desc="count frames", unit="frame", total=total)
    places = uniform(sum(1 for _ in frames), count)
    wanted = set(places)
    chosen: dict[int, Tensor] = {}
    for frame in taken(video, most, asked):
        if frame.index in wanted:
            chosen[frame.index] = frame.image.clone()
        if len(chosen) == len(wanted):
            break
    there = [chosen[i] for i in places if i in chosen]
    return [image for image in there if image.shape == there[0].shape]


def expected_frames(video: Frames, most: int) -> int | None:
    """How many frames `taken` will probably give, None if the container does not say."""
    if video.length_hint is None:
        return most or None
    return min(video.length_hint, most or video.length_hint)
