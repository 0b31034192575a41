"""Detection on a video, frame by frame, with an exported model: `stpn_vod.stream` in numpy.

A cut ends the support, each shot is a video of its own, and each frame is encoded once with prompts
and once without if it is to support others, as `stpn_core.streaming` explains.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_data.arrays.frames import Frame
from stpn_data.arrays.resize import resize
from stpn_data.arrays.shots import shot_changed
from stpn_data.fit import fit
from stpn_data.support import Policy, UniformPolicy
from stpn_vod.predict_config import Resampling
from stpn_vod.runner.found import FrameResult
from stpn_vod.runner.manifest import Graphs
from stpn_vod.runner.model import Array, ExportedModel


@dataclass(frozen=True, eq=False)
class _Seen:
    """A frame, its pixels (h, w, 3) at network size, and the graphs that take them."""

    frame: Frame
    pixels: NDArray[np.uint8]
    graphs: Graphs


class DetectionStream:
    """One video being answered; any number of them share one model.

    policy: which frames support which. `UniformPolicy` needs its frames beforehand: `support`, each
    uint8 (3, H, W), all of one size. short_side, long_side, resampling: how frames are resized.
    cuts: frames before a cut, or of another size, do not support frames after it.
    """

    def __init__(
        self,
        model: ExportedModel,
        policy: Policy,
        *,
        short_side: int,
        long_side: int,
        resampling: Resampling = "antialias",
        cuts: bool = True,
        support: Iterable[NDArray[np.uint8]] = (),
    ) -> None:
        self._model = model
        self._sides = short_side, long_side
        self._resampling: Resampling = resampling
        given = isinstance(policy, UniformPolicy)
        self._policy = policy if model.uses_support and not given else None
        self._cuts = cuts and self._policy is not None
        self._reach = 0 if self._policy is None else _reach(self._policy)
        self._prompts = self._prompts_of(support) if model.uses_support and given else None
        self._prompted_by: tuple[int, ...] = ()
        self._tokens: dict[int, Array] = {}
        self._waiting: deque[_Seen] = deque()
        self._in_shot = 0
        self._previous: Frame | None = None

    def take(self, frame: Frame) -> list[FrameResult]:
        """The next frame; returns what became ready, in order. Frames that wait for later ones are
        kept as they are: do not reuse their memory."""
        results = self.finish() if self._begins_shot(frame) else []
        self._previous = frame
        seen = self._see(frame)
        if self._policy is not None and self._policy.is_support(self._in_shot):
            self._tokens[self._in_shot] = self._embed(seen)
        self._waiting.append(seen)
        self._in_shot += 1
        return results + self._answer(None)

    def finish(self) -> list[FrameResult]:
        """The video, or the shot, has ended: results of the frames that wait for later ones."""
        results = self._answer(self._in_shot)
        self._in_shot = 0
        if self._policy is not None:
            self._tokens, self._prompts, self._prompted_by = {}, None, ()
        return results

    def _begins_shot(self, frame: Frame) -> bool:
        if self._policy is None or self._previous is None:
            return False
        if frame.image.shape != self._previous.image.shape:
            return True
        return self._cuts and shot_changed(self._previous.image, frame.image)

    def _see(self, frame: Frame) -> _Seen:
        height, width = frame.image.shape[1:]
        size = fit((height, width), *self._sides)
        pixels = resize(frame.image.transpose(1, 2, 0), size, self._resampling)
        return _Seen(frame, pixels, self._model.graphs_for(size))

    def _embed(self, seen: _Seen) -> Array:
        return self._model.embed(seen.graphs, self._model.network_input(seen.pixels, seen.graphs))

    def _prompts_of(self, support: Iterable[NDArray[np.uint8]]) -> list[Array] | None:
        seen = [self._see(Frame(i, image, 0.0, "")) for i, image in enumerate(support)]
        if not seen:
            return None
        return self._model.prompts(seen[0].graphs, [self._embed(one) for one in seen])

    def _answer(self, length: int | None) -> list[FrameResult]:
        """Answer all waiting frames if the shot's length is known, else those whose lookahead has
        been seen."""
        results = []
        lookahead = 0 if self._policy is None or length is not None else self._policy.lookahead
        while len(self._waiting) > lookahead:
            t = self._in_shot - len(self._waiting)
            seen = self._waiting.popleft()
            if self._policy is not None:
                self._prompt(self._policy.indices(t, length), seen.graphs)
                old = [i for i in self._tokens if i < t + 1 - self._reach]
                for index in old:
                    del self._tokens[index]
            results.append(self._detect(seen))
        return results

    def _prompt(self, indices: Sequence[int], graphs: Graphs) -> None:
        """Prompts from these support frames; predicted anew only if they changed."""
        if tuple(indices) == self._prompted_by:
            return
        tokens = [self._tokens[i] for i in indices]
        self._prompts = self._model.prompts(graphs, tokens) if tokens else None
        self._prompted_by = tuple(indices)

    def _detect(self, seen: _Seen) -> FrameResult:
        image = self._model.network_input(seen.pixels, seen.graphs)
        maps = self._model.encode(seen.graphs, image, self._prompts)
        height, width = seen.pixels.shape[:2]
        original = seen.frame.image.shape[1], seen.frame.image.shape[2]
        found = self._model.detect(seen.graphs, maps, (height, width))
        scale = width / original[1], height / original[0]
        return FrameResult(seen.frame, found.rescale(scale, original), self._prompts is not None)


def detect_frames(
    model: ExportedModel,
    frames: Iterable[Frame],
    policy: Policy,
    *,
    short_side: int = 0,
    long_side: int = 0,
    resampling: Resampling | None = None,
    cuts: bool = True,
    support: Iterable[NDArray[np.uint8]] = (),
) -> Iterator[FrameResult]:
    """One result per frame, in order; see `DetectionStream`. What is not said of resizing is as the
    model was exported."""
    stream = DetectionStream(
        model,
        policy,
        short_side=short_side or model.manifest.short_side,
        long_side=long_side or model.manifest.long_side,
        resampling=resampling or model.manifest.resampling,
        cuts=cuts,
        support=support,
    )
    for frame in frames:
        yield from stream.take(frame)
    yield from stream.finish()


def _reach(policy: Policy) -> int:
    """How far back the support of a frame may lie, asked far from frame 0, where none is cut off."""
    settled = range(1 << 14, (1 << 14) + 256)
    return max(max(t - min(policy.indices(t, None), default=t) for t in settled), 0)
