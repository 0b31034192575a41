"""Segmentation of a video as it comes, with an exported model: `stpn_vis.stream` in numpy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stpn_core.errors import NumericsError
from stpn_core.export.stream import Encoded, PromptedStream, prompts_for
from stpn_data.arrays.frames import Frame
from stpn_data.arrays.resize import resize
from stpn_data.arrays.shots import shot_changed
from stpn_data.fit import fit
from stpn_data.support import Policy, UniformPolicy
from stpn_vis.found import Found
from stpn_vis.runner.full_size import full_size_logits
from stpn_vis.runner.linking import LinkState, link
from stpn_vis.runner.model import ExportedModel


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What was found on one frame; masks are in its pixels. has_prompt: whether prompts went in."""

    frame: Frame
    found: Found
    has_prompt: bool


@dataclass(frozen=True, eq=False)
class _Taken:
    frame: Frame
    new_shot: bool


class SegmentationStream:
    """One video being answered; any number of them share one model. Its memory is bounded by the
    policy, not by the video.

    policy: which frames support which. `UniformPolicy` needs its frames beforehand: `support`, each
    uint8 (3, H, W), all of one size. short_side, long_side: how frames are resized. cuts: a cut, or
    a frame of another size, ends support and objects. score: an object is shown on a frame if its
    class has this score by then, at most `most` of them, best first.
    """

    def __init__(
        self,
        model: ExportedModel,
        policy: Policy,
        *,
        short_side: int,
        long_side: int,
        cuts: bool = True,
        score: float = 0.3,
        most: int = 20,
        support: Iterable[NDArray[np.uint8]] = (),
    ) -> None:
        self._model = model
        self._sides = short_side, long_side
        self._cuts, self._score, self._most = cuts, score, most
        given = isinstance(policy, UniformPolicy)
        prompts = prompts_for(model, map(self._resized, support)) if given else None
        self._stream = PromptedStream[_Taken](model, None if given else policy, prompts)
        self._previous: NDArray[np.uint8] | None = None
        self._linked: LinkState | None = None
        self._ids = np.zeros(0, np.int64)
        self._next_id = 1

    def take(self, frame: Frame) -> list[FrameResult]:
        """The next frame; returns what became ready, in order. Frames that wait for later ones are
        kept as they are: do not reuse their memory."""
        new_shot = self._previous is not None and (
            self._previous.shape != frame.image.shape
            or (self._cuts and shot_changed(self._previous, frame.image))
        )
        self._previous = frame.image
        pixels = self._resized(frame.image)
        return self._answers(self._stream.take(_Taken(frame, new_shot), pixels, new_shot=new_shot))

    def finish(self) -> list[FrameResult]:
        """The video has ended: results of the frames that wait for later ones."""
        return self._answers(self._stream.finish())

    def _resized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (3, H, W) -> (h, w, 3) at network size."""
        size = fit((image.shape[1], image.shape[2]), *self._sides)
        return resize(image.transpose(1, 2, 0), size)

    def _answers(self, ready: Iterable[Encoded[_Taken]]) -> list[FrameResult]:
        results = []
        for one in ready:
            if one.frame.new_shot:
                self._linked = None
            found = self._found(one)
            results.append(FrameResult(one.frame.frame, found, one.has_prompt))
        return results

    def _found(self, one: Encoded[_Taken]) -> Found:
        said = self._model.segment(one.graphs, one.maps)
        if not np.isfinite(said.masks).all():
            raise NumericsError("predictions hold NaN or infinity: the exported model is damaged")
        if self._linked is None:
            self._ids = np.zeros(len(said.logits), np.int64)
        order, self._linked = link(self._linked, said.logits, said.embeddings)
        classes = self._linked.scores()
        scores, labels = classes.max(1), classes.argmax(1)
        best = np.argsort(-scores, kind="stable")[: self._most]
        chosen = best[scores[best] >= np.float32(self._score)]
        image = one.frame.frame.image
        original = image.shape[1], image.shape[2]
        padded = one.graphs.height, one.graphs.width
        masks = full_size_logits(said.masks[order[chosen]], padded, one.size, original) > 0
        visible = masks.any((1, 2))
        chosen, masks = chosen[visible], masks[visible]
        for slot in chosen:
            if not self._ids[slot]:
                self._ids[slot], self._next_id = self._next_id, self._next_id + 1
        return Found(self._ids[chosen], labels[chosen], scores[chosen], masks)
