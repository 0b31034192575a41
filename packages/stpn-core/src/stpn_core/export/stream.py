"""Prompted encoding of a video frame by frame with an exported model: `stpn_core.streaming` in numpy.

Each frame is encoded once with prompts and once without if it is to support others; a cut ends the
support, and each shot is a video of its own. Needs no torch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stpn_core.export.manifest import Graphs
from stpn_core.export.model import Array, ExportedEncoder
from stpn_core.support_policy import SupportPolicy, reach

T = TypeVar("T")
Pixels = NDArray[np.uint8]
"""uint8 (h, w, 3) at network size, before padding."""


@dataclass(frozen=True, eq=False)
class Encoded(Generic[T]):
    """An answered frame: what the caller gave with it, its network size (h, w), the graphs that
    took it, its maps (1, C_i, H_i, W_i), and whether prompts went in."""

    frame: T
    size: tuple[int, int]
    graphs: Graphs
    maps: list[Array]
    has_prompt: bool


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[T]):
    frame: T
    pixels: Pixels
    graphs: Graphs


class PromptedStream(Generic[T]):
    """One video being encoded; any number of them share one model.

    policy: which frames support which; None encodes every frame with `prompts` as given. A model
    without a predictor looks at neither.
    """

    def __init__(
        self,
        model: ExportedEncoder[Any],
        policy: SupportPolicy | None,
        prompts: list[Array] | None = None,
    ) -> None:
        self._model = model
        self._policy = policy if model.uses_support else None
        self._reach = 0 if self._policy is None else reach(self._policy)
        self._prompts = prompts if model.uses_support else None
        self._prompted_by: tuple[int, ...] = ()
        self._tokens: dict[int, Array] = {}
        self._waiting: deque[_Waiting[T]] = deque()
        self._in_shot = 0

    def take(self, frame: T, pixels: Pixels, *, new_shot: bool = False) -> list[Encoded[T]]:
        """The next frame; returns what became ready, in order. Frames that wait for later ones are
        kept as they are: do not reuse their memory.

        frame: given back with the answer. new_shot: it is the first after a cut, or of another size.
        Raises InputError if no graphs are large enough.
        """
        ready = self.finish() if new_shot else []
        graphs = self._model.graphs_for((pixels.shape[0], pixels.shape[1]))
        if self._policy is not None and self._policy.is_support(self._in_shot):
            image = self._model.network_input(pixels, graphs)
            self._tokens[self._in_shot] = self._model.embed(graphs, image)
        self._waiting.append(_Waiting(frame, pixels, graphs))
        self._in_shot += 1
        return ready + self._answer(None)

    def finish(self) -> list[Encoded[T]]:
        """The video, or the shot, has ended: the frames that wait for later ones."""
        ready = self._answer(self._in_shot)
        self._in_shot = 0
        if self._policy is not None:
            self._tokens, self._prompts, self._prompted_by = {}, None, ()
        return ready

    def _answer(self, length: int | None) -> list[Encoded[T]]:
        """Encode all waiting frames if the shot's length is known, else those whose lookahead has
        been seen."""
        ready = []
        lookahead = 0 if self._policy is None or length is not None else self._policy.lookahead
        while len(self._waiting) > lookahead:
            t = self._in_shot - len(self._waiting)
            first = self._waiting.popleft()
            if self._policy is not None:
                self._prompt(self._policy.indices(t, length), first.graphs)
                for old in [i for i in self._tokens if i < t + 1 - self._reach]:
                    del self._tokens[old]
            image = self._model.network_input(first.pixels, first.graphs)
            maps = self._model.encode(first.graphs, image, self._prompts)
            size = first.pixels.shape[0], first.pixels.shape[1]
            prompted = self._prompts is not None
            ready.append(Encoded(first.frame, size, first.graphs, maps, prompted))
        return ready

    def _prompt(self, indices: Sequence[int], graphs: Graphs) -> None:
        """Prompts from these support frames; predicted anew only if they changed."""
        if tuple(indices) == self._prompted_by:
            return
        tokens = [self._tokens[i] for i in indices]
        self._prompts = self._model.prompts(graphs, tokens) if tokens else None
        self._prompted_by = tuple(indices)


def prompts_for(model: ExportedEncoder[Any], frames: Iterable[Pixels]) -> list[Array] | None:
    """Prompts from support frames of one size; None without any frame, or without a predictor."""
    if not model.uses_support:
        return None
    tokens, graphs = [], None
    for pixels in frames:
        graphs = graphs or model.graphs_for((pixels.shape[0], pixels.shape[1]))
        tokens.append(model.embed(graphs, model.network_input(pixels, graphs)))
    return model.prompts(graphs, tokens) if graphs is not None else None
