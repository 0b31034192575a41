"""What a stream remembers of earlier frames: support tokens, as a value.

Shapes: K support frames, h x w the last layer's grid, C its channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stpn_core.errors import InputError


@dataclass(frozen=True, eq=False)
class SupportMemory:
    """Un-prompted tokens of the frames that may still support another one.

    Nothing changes in place: each method returns a new memory, tensors are shared between them.
    indices: frame numbers, ascending. tokens: one (h, w, C) per index.
    """

    indices: tuple[int, ...] = ()
    tokens: tuple[Tensor, ...] = ()

    def remember(self, index: int, tokens: Tensor) -> SupportMemory:
        """Add the tokens (h, w, C) of a frame later than all remembered ones."""
        if self.indices and index <= self.indices[-1]:
            raise InputError(f"frame {index} comes after frame {self.indices[-1]} in this memory")
        return SupportMemory((*self.indices, index), (*self.tokens, tokens))

    def forget_before(self, index: int) -> SupportMemory:
        """Let go of every frame before `index`."""
        keep = sum(i < index for i in self.indices)
        return replace(self, indices=self.indices[keep:], tokens=self.tokens[keep:])

    def gather(self, indices: Sequence[int]) -> Tensor:
        """Tokens (1, K, h, w, C) of the given frames, in the given order.

        Raises InputError, naming the frames, if one is not remembered.
        """
        held = dict(zip(self.indices, self.tokens, strict=True))
        missing = [i for i in indices if i not in held]
        if missing:
            raise InputError(
                f"support frames {missing} are not in memory (it holds {list(self.indices)}): the "
                "policy's `indices` asks for frames that its `is_support` denies, that lie beyond "
                "its `lookahead`, or further back than it usually does"
            )
        return torch.stack([held[i] for i in indices])[None]
