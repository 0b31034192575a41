"""What a tracker remembers of past frames: maps of search regions, and the prompts made from them.

Frames 0, S, 2S ... may become support frames; the K places before the current frame count, so a
frame leaves when it is K S frames old even if no other takes its place. Nothing here reads ahead, and
nothing needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

M = TypeVar("M")
P = TypeVar("P")


@dataclass(frozen=True, eq=False)
class SupportMemory(Generic[M, P]):
    """frames: numbers of the support frames, oldest first. maps: (h, w, C) of each. prompts: made
    from them, for a batch of one; None without support frames, which is plain MixFormer."""

    frames: tuple[int, ...] = ()
    maps: tuple[M, ...] = ()
    prompts: P | None = None


def remember(
    memory: SupportMemory[M, P],
    frame: int,
    found: M | None,
    predict: Callable[[Sequence[M]], P],
    *,
    count: int,
    stride: int,
) -> SupportMemory[M, P]:
    """The memory after frame number `frame`, a multiple of `stride`.

    found: its map (h, w, C), None if the frame is not to be trusted. predict: prompts from maps,
    called only if the support frames changed.
    """
    kept = [i for i, old in enumerate(memory.frames) if old > frame - count * stride]
    frames = tuple(memory.frames[i] for i in kept)
    maps = tuple(memory.maps[i] for i in kept)
    if found is not None:
        frames, maps = (*frames, frame), (*maps, found)
    if frames == memory.frames:
        return memory
    return SupportMemory(frames, maps, predict(maps) if maps else None)
