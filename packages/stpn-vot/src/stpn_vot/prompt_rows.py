"""Prompts of several targets as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_vot.support_memory import SupportMemory

Memory: TypeAlias = SupportMemory[Tensor, Prompts]


def join_prompts(memories: Sequence[Memory]) -> tuple[Prompts | None, Tensor]:
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


def _part(memory: Memory, index: int, like: Tensor) -> Tensor:
    if memory.prompts is None:
        return torch.zeros_like(like)
    return memory.prompts if isinstance(memory.prompts, Tensor) else memory.prompts[index]
