"""What a tracker remembers of past frames: maps of search regions, and the prompts made from them.

Frames 0, S, 2S ... may become support frames; the K places before the current frame count, so a
frame leaves when it is K S frames old even if no other takes its place. Nothing here reads ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_vot.mixformer import MixFormer


@dataclass(frozen=True, eq=False)
class SupportMemory:
    """frames: numbers of the support frames, oldest first. maps: (h, w, C) of each. prompts: made
    from them, for a batch of one; None without support frames, which is plain MixFormer."""

    frames: tuple[int, ...] = ()
    maps: tuple[Tensor, ...] = ()
    prompts: Prompts | None = None


def remember(
    model: MixFormer,
    memory: SupportMemory,
    frame: int,
    found: Tensor | None,
    *,
    count: int,
    stride: int,
) -> SupportMemory:
    """The memory after frame number `frame`, a multiple of `stride`.

    found: its map (h, w, C), None if the frame is not to be trusted. Prompts are made anew only if
    the support frames changed.
    """
    kept = [i for i, old in enumerate(memory.frames) if old > frame - count * stride]
    frames = tuple(memory.frames[i] for i in kept)
    maps = tuple(memory.maps[i] for i in kept)
    if found is not None:
        frames, maps = (*frames, frame), (*maps, found)
    if frames == memory.frames:
        return memory
    prompts = model.predict_prompts(torch.stack(maps)[None]) if maps else None
    return SupportMemory(frames, maps, prompts)


def join_prompts(memories: list[SupportMemory]) -> tuple[Prompts | None, Tensor]:
    """Prompts of several targets as one batch, and which rows have any (B,), on the CPU; the others
    hold zeros. None if no row has."""
    marked = torch.tensor([memory.prompts is not None for memory in memories])
    example = next((memory.prompts for memory in memories if memory.prompts is not None), None)
    if example is None:
        return None, marked
    if isinstance(example, Tensor):
        return torch.cat([_part(memory, 0, example) for memory in memories]), marked
    parts = [
        torch.cat([_part(memory, i, part) for memory in memories]) for i, part in enumerate(example)
    ]
    return parts, marked


def _part(memory: SupportMemory, index: int, like: Tensor) -> Tensor:
    if memory.prompts is None:
        return torch.zeros_like(like)
    return memory.prompts if isinstance(memory.prompts, Tensor) else memory.prompts[index]
