"""Detection on a video of a data set, in batches of frames, with random access to its support.

Gives what `stream.py` gives frame by frame on a video without cuts; in a batch each row has the
prompts of its own frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_data.sequence import EvalFrame, EvalVideo
from stpn_data.support import Policy
from stpn_data.transforms import cover
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN
from stpn_vod.network_input import to_network

Size = tuple[int, int]


@dataclass
class PromptCache:
    """Prompts of the latest support set and tokens of the frames in it, for one video.

    Frames are asked for from front to back; each is encoded once while it can still be needed.
    """

    model: FasterRCNN
    video: EvalVideo
    tokens: dict[tuple[int, Size], Tensor] = field(default_factory=dict)
    support: tuple[tuple[int, Size], ...] = ()
    prompts: Prompts | None = None

    def prompts_of(self, support: Sequence[int], size: Size) -> Prompts | None:
        """Prompts (1, P, D) from frames `support`, for a frame of network `size`; None if empty."""
        wanted = tuple((t, size) for t in support)
        if not wanted:
            return None
        if wanted != self.support:
            self.tokens = {key: kept for key, kept in self.tokens.items() if key in wanted}
            for t in dict.fromkeys(support):
                if (t, size) not in self.tokens:
                    self.tokens[t, size] = self._embed(t, size)
            tokens = torch.cat([self.tokens[key] for key in wanted], dim=1)
            self.prompts = self.model.stpn.predict_prompts(tokens)
            self.support = wanted
        return self.prompts

    def _embed(self, t: int, size: Size) -> Tensor:
        image = cover(self.video.support([t])[0], size)
        return self.model.stpn.embed_support(to_network(self.model, image)[None, None])


@torch.no_grad()
def detect_sequence(
    model: FasterRCNN, video: EvalVideo, policy: Policy, *, batch_size: int = 1, every: int = 1
) -> Iterator[tuple[EvalFrame, Detections]]:
    """Yield every `every`-th frame with its detections in pixels of the file, in order."""
    cache = PromptCache(model, video)
    for frames in _batches(video.frames(every), batch_size):
        size = frames[0].image.shape[1], frames[0].image.shape[2]
        images = torch.stack([to_network(model, frame.image) for frame in frames])
        prompts, has_prompt = None, None
        if model.stpn.predictor is not None:
            rows = [cache.prompts_of(policy.indices(f.t, len(video)), size) for f in frames]
            prompts, has_prompt = stack_prompts(rows)
        features = model.stpn.encode(images, prompts, has_prompt)
        found = model.detect(features, torch.tensor([size] * len(frames)))
        for frame, detections in zip(frames, found, strict=True):
            yield frame, detections.rescale(frame.scale, frame.original_size).to("cpu")


def stack_prompts(rows: Sequence[Prompts | None]) -> tuple[Prompts | None, Tensor | None]:
    """Rows of batch size 1 as one batch, and which rows have prompts (None: all of them).

    Rows without prompts hold zeros, which `STPN.encode` does not look at.
    """
    given = next((row for row in rows if row is not None), None)
    if given is None:
        return None, None
    layers = [given] if isinstance(given, Tensor) else list(given)
    filled = [
        [torch.zeros_like(p) for p in layers] if row is None else
        [row] if isinstance(row, Tensor) else list(row)
        for row in rows
    ]  # fmt: skip
    stacked = [torch.cat(layer) for layer in zip(*filled, strict=True)]
    prompts = stacked[0] if isinstance(given, Tensor) else stacked
    if all(row is not None for row in rows):
        return prompts, None
    return prompts, torch.tensor([row is not None for row in rows], device=layers[0].device)


def _batches(frames: Iterator[EvalFrame], size: int) -> Iterator[list[EvalFrame]]:
    """Runs of up to `size` frames of one shape."""
    batch: list[EvalFrame] = []
    for frame in frames:
        if batch and (len(batch) == size or frame.image.shape != batch[0].image.shape):
            yield batch
            batch = []
        batch.append(frame)
    if batch:
        yield batch
