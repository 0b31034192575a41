"""A part of the training videos kept for evaluation, where official validation labels are private.

Whole videos are held out, the same share of each class, chosen by a hash of the video's name: the
split is the same in every run and on every machine, with nothing to store.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from stpn_data.errors import DataError
from stpn_data.index import VideoIndex
from stpn_data.subset import select_videos

_PART = re.compile(r"(?P<split>[^\[\]]+)\[(?P<from>[\d.]+%)?:(?P<to>[\d.]+%)?\]")


def hold_out(index: VideoIndex, share: float = 0.1, seed: int = 0) -> tuple[VideoIndex, VideoIndex]:
    """(train, held out) of the videos of `index`: round(share · V) are held out, at least one.

    A video counts for the rarest of its classes; each class gives its share. Raises DataError unless
    0 < share < 1 and there are two videos or more.
    """
    total = index.num_videos
    if not 0 < share < 1 or total < 2:
        raise DataError(
            f"{index.source}: cannot hold out {share:g} of {total} videos; the share must lie between "
            "0 and 1, and there must be two videos or more"
        )
    order = sorted(zip(_rarest_classes(index), _hashes(index, seed), range(total), strict=True))
    count = min(max(round(share * total), 1), total - 1)
    held = {order[(2 * k + 1) * total // (2 * count)][2] for k in range(count)}
    train = [video for video in range(total) if video not in held]
    return select_videos(index, train), select_videos(index, sorted(held))


class Part(NamedTuple):
    """A split, or what `hold_out` makes of it."""

    split: str
    share: float = 0.0  # held out; 0: the whole split is meant
    held: bool = False  # whether the part held out is meant, or the rest


def parse_part(split: str) -> Part:
    """`train[:90%]` is train without a tenth of its videos, `train[90%:]` that tenth.

    Raises DataError for brackets that say anything else.
    """
    if "[" not in split:
        return Part(split)
    found = _PART.fullmatch(split)
    ends = [end for end in (found["from"], found["to"]) if end] if found else []
    try:
        percent = float(ends[0].rstrip("%")) if len(ends) == 1 else 0.0
    except ValueError:
        percent = 0.0
    if found is None or not 0 < percent < 100:
        raise DataError(
            f"cannot read the split {split!r}; write train[:90%] for nine tenths of the videos of "
            "train and train[90%:] for the others"
        )
    return Part(found["split"], round(1 - percent / 100, 9), held=found["from"] is not None)


def take_part(index: VideoIndex, part: Part) -> VideoIndex:
    """What `part` says of the whole split."""
    if not part.share:
        return index
    train, held = hold_out(index, part.share)
    chosen, text = (held, "held out") if part.held else (train, "without those held out")
    source = f"{index.source}, {chosen.num_videos} of {index.num_videos} videos {text}"
    return replace(chosen, source=source)


def _hashes(index: VideoIndex, seed: int) -> list[bytes]:
    return [
        blake2b(f"{seed}\0{name}".encode(errors="surrogateescape"), digest_size=16).digest()
        for name in index.video_names
    ]


def _rarest_classes(index: VideoIndex) -> list[int]:
    """Label of the class of each video that the fewest videos show; -1 where there is no box."""
    owner = np.repeat(np.arange(index.num_frames), np.diff(index.box_start))
    video = np.searchsorted(index.video_start, owner, side="right") - 1
    pairs = sorted(set(zip(video.tolist(), index.labels.tolist(), strict=True)))
    videos_with = Counter(label for _, label in pairs)
    rarest = [-1] * index.num_videos
    for number, label in pairs:
        held = rarest[number]
        if held < 0 or videos_with[label] < videos_with[held]:
            rarest[number] = label
    return rarest
