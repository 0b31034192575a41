"""Detection on a video, frame by frame, with an exported model: `stpn_vod.stream` in numpy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from stpn_core.export.stream import Encoded, PromptedStream, prompts_for
from stpn_data.arrays.frames import Frame
from stpn_data.arrays.resize import resize
from stpn_data.arrays.shots import shot_changed
from stpn_data.fit import Resampling, fit
from stpn_data.support import Policy, UniformPolicy
from stpn_vod.runner.found import FrameResult
from stpn_vod.runner.model import ExportedModel


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
        prompts = prompts_for(model, map(self._resized, support)) if given else None
        self._stream = PromptedStream[Frame](model, None if given else policy, prompts)
        self._cuts = cuts and model.uses_support and not given
        self._previous: Frame | None = None

    def take(self, frame: Frame) -> list[FrameResult]:
        """The next frame; returns what became ready, in order. Frames that wait for later ones are
        kept as they are: do not reuse their memory."""
        new_shot = self._begins_shot(frame)
        self._previous = frame
        pixels = self._resized(frame.image)
        return self._detect(self._stream.take(frame, pixels, new_shot=new_shot))

    def finish(self) -> list[FrameResult]:
        """The video, or the shot, has ended: results of the frames that wait for later ones."""
        return self._detect(self._stream.finish())

    def _begins_shot(self, frame: Frame) -> bool:
        if self._previous is None:
            return False
        if frame.image.shape != self._previous.image.shape:
            return True
        return self._cuts and shot_changed(self._previous.image, frame.image)

    def _resized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (3, H, W) -> (h, w, 3) at network size."""
        size = fit((image.shape[1], image.shape[2]), *self._sides)
        return resize(image.transpose(1, 2, 0), size, self._resampling)

    def _detect(self, ready: Iterable[Encoded[Frame]]) -> list[FrameResult]:
        results = []
        for one in ready:
            found = self._model.detect(one.graphs, one.maps, one.size)
            original = one.frame.image.shape[1], one.frame.image.shape[2]
            scale = one.size[1] / original[1], one.size[0] / original[0]
            results.append(FrameResult(one.frame, found.rescale(scale, original), one.has_prompt))
        return results


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
