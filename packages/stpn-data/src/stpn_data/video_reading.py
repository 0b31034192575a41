"""Reading a video while somebody may ask to stop, and frames spread over all of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

from stpn_data.support import uniform

T = TypeVar("T")
Image = TypeVar("Image")
Image_co = TypeVar("Image_co", covariant=True)

Asked = Callable[[], bool]
"""Whether the user has asked to stop."""


class Stopped(Exception):
    """The user asked to stop; goes through a stream, so that it does not finish its frames."""


class NumberedFrame(Protocol[Image_co]):
    """A frame of a video: a `VideoFrame` with a tensor, or a `Frame` with an array."""

    @property
    def index(self) -> int: ...
    @property
    def image(self) -> Image_co:
        """uint8 (3, H, W)."""


class Frames(Protocol[Image_co]):
    """A video that can be read more than once, such as a `VideoSource`."""

    @property
    def length_hint(self) -> int | None: ...
    def __iter__(self) -> Iterator[NumberedFrame[Image_co]]: ...


def taken(video: Iterable[T], most: int, asked: Asked) -> Iterator[T]:
    """The first `most` frames, all for 0. Raises Stopped at the next frame once `asked` is true."""
    for frame in itertools.islice(video, most or None):
        if asked():
            raise Stopped
        yield frame


def spread(video: Frames[Image], count: int, most: int, asked: Asked) -> list[Image]:
    """`count` frames spread over the first `most` frames (0: the whole video), all of one size.

    Two passes, since no container's length can be trusted. Raises Stopped as `taken` does.
    """
    total = expected_frames(video, most)
    frames = tqdm(taken(video, most, asked), desc="count frames", unit="frame", total=total)
    places = uniform(sum(1 for _ in frames), count)
    wanted = set(places)
    chosen: dict[int, Image] = {}
    for frame in taken(video, most, asked):
        if frame.index in wanted:
            chosen[frame.index] = copy.deepcopy(frame.image)
        if len(chosen) == len(wanted):
            break
    there = [chosen[i] for i in places if i in chosen]
    return [image for image in there if _shape(image) == _shape(there[0])]


def expected_frames(video: Frames[Any], most: int) -> int | None:
    """How many frames `taken` will probably give, None if the container does not say."""
    if video.length_hint is None:
        return most or None
    return min(video.length_hint, most or video.length_hint)


def _shape(image: Any) -> tuple[int, ...]:
    return tuple(image.shape)
