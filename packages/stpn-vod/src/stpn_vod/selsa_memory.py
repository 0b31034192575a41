"""What SELSA remembers of earlier frames: their references and their support tokens, as a value.

h x w the last layer's grid, C its channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_core.errors import InputError
from stpn_vod.selsa import References
from stpn_vod.selsa_detector import SelsaDetector


@dataclass(frozen=True, eq=False)
class SupportFrame:
    """What one un-prompted frame gives to the frames that it supports.

    references: its regions, ready to be looked at: 4 vectors each, 4.9 MB in float32 for 300
    regions of 1024 channels. tokens (1, 1, h, w, C) for prompts; None without a predictor.
    """

    references: References
    tokens: Tensor | None


def survey_frame(model: SelsaDetector, frame: Tensor, size: tuple[int, int]) -> SupportFrame:
    """A frame (3, H, W), normalised, of `size` h, w before padding, in one pass."""
    tokens, (references,) = model.survey(frame[None], torch.tensor([size]))
    return SupportFrame(references, None if tokens is None else tokens[None])


def prompts_from(model: SelsaDetector, support: Sequence[SupportFrame]) -> Prompts | None:
    """Prompts of batch size 1; None without support or without a predictor."""
    tokens = [frame.tokens for frame in support if frame.tokens is not None]
    return model.stpn.predict_prompts(torch.cat(tokens, dim=1)) if tokens else None


@dataclass(frozen=True, eq=False)
class ReferenceMemory:
    """Frames that may still support another one.

    Nothing changes in place: each method returns a new memory, tensors are shared between them.
    indices: frame numbers, ascending. frames: one per index.
    """

    indices: tuple[int, ...] = ()
    frames: tuple[SupportFrame, ...] = ()

    def remember(self, index: int, frame: SupportFrame) -> ReferenceMemory:
        """Add a frame later than all remembered ones."""
        if self.indices and index <= self.indices[-1]:
            raise InputError(f"frame {index} comes after frame {self.indices[-1]} in this memory")
        return ReferenceMemory((*self.indices, index), (*self.frames, frame))

    def forget_before(self, index: int) -> ReferenceMemory:
        """Let go of every frame before `index`."""
        keep = sum(i < index for i in self.indices)
        return ReferenceMemory(self.indices[keep:], self.frames[keep:])

    def gather(self, indices: Sequence[int]) -> tuple[SupportFrame, ...]:
        """The given frames, in the given order. Raises InputError if one is not remembered."""
        held = dict(zip(self.indices, self.frames, strict=True))
        missing = [i for i in indices if i not in held]
        if missing:
            raise InputError(
                f"support frames {missing} are not in memory (it holds {list(self.indices)}): the "
                "policy's `indices` asks for frames that its `is_support` denies, that lie beyond "
                "its `lookahead`, or further back than it usually does"
            )
        return tuple(held[i] for i in indices)
