"""Detection on a video of a data set, in batches of frames, with random access to its support.

Gives what `stream.py` gives frame by frame on a video without cuts; in a batch each row has the
prompts, and with SELSA the references, of its own frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_core.prompt_batch import stack_prompts
from stpn_data.sequence import EvalFrame, EvalVideo, frame_batches
from stpn_data.support import Policy
from stpn_data.transforms import cover
from stpn_vod.build import Detector
from stpn_vod.detections import Detections
from stpn_vod.network_input import to_network
from stpn_vod.selsa import References
from stpn_vod.selsa_detector import SelsaDetector

Place = tuple[
    int, tuple[int, int]
]  # a frame of the video, and the network size (h, w) it is seen at


@dataclass
class SupportCache:
    """What a frame gets from its support: prompts (1, P, D), and references for SELSA.

    Frames are asked for from front to back; each support frame is encoded once while it can still
    be needed.
    """

    model: Detector
    video: EvalVideo
    tokens: dict[Place, Tensor] = field(default_factory=dict)  # (1, 1, h, w, C) each
    regions: dict[Place, References] = field(default_factory=dict)
    support: tuple[Place, ...] = ()
    prompts: Prompts | None = None

    @property
    def references(self) -> list[References]:
        """Regions of the support frames; a frame that supports twice counts twice."""
        return [self.regions[place] for place in self.support if place in self.regions]

    def gather(self, support: Sequence[int], size: tuple[int, int]) -> None:
        """Set `prompts` and `references` for a frame of network `size` supported by frames
        `support`."""
        wanted = tuple((t, size) for t in support)
        if wanted == self.support:
            return
        self.tokens = {place: kept for place, kept in self.tokens.items() if place in wanted}
        self.regions = {place: kept for place, kept in self.regions.items() if place in wanted}
        for place in dict.fromkeys(wanted):
            if place not in self.tokens and place not in self.regions:
                self._look_at(place)
        self.support = wanted
        self.prompts = None
        if wanted and self.tokens:
            tokens = torch.cat([self.tokens[place] for place in wanted], dim=1)
            self.prompts = self.model.stpn.predict_prompts(tokens)

    def _look_at(self, place: Place) -> None:
        t, size = place
        image = to_network(self.model, cover(self.video.support([t])[0], size))[None]
        if isinstance(self.model, SelsaDetector):
            tokens, (self.regions[place],) = self.model.survey(image, torch.tensor([size]))
            if tokens is not None:
                self.tokens[place] = tokens[None]
        else:
            self.tokens[place] = self.model.stpn.embed_support(image[None])


@torch.no_grad()
def detect_sequence(
    model: Detector,
    video: EvalVideo,
    policy: Policy,
    *,
    batch_size: int = 1,
    every: int = 1,
    only_annotated: bool = False,
) -> Iterator[tuple[EvalFrame, Detections]]:
    """Yield every `every`-th frame with its detections in pixels of the file, in order.

    only_annotated: leave out frames that nobody annotated. The model must be in evaluation mode.
    """
    cache = SupportCache(model, video)
    selsa = isinstance(model, SelsaDetector)
    chosen = (f for f in video.frames(every) if f.annotated or not only_annotated)
    for frames in frame_batches(chosen, batch_size):
        size = frames[0].image.shape[1], frames[0].image.shape[2]
        images = torch.stack([to_network(model, frame.image) for frame in frames])
        prompts: list[Prompts | None] = []
        references: list[list[References]] = []
        for frame in frames:
            if selsa or model.stpn.predictor is not None:
                cache.gather(policy.indices(frame.t, len(video)), size)
            prompts.append(cache.prompts)
            references.append(cache.references)
        features = model.stpn.encode(images, *stack_prompts(prompts))
        sizes = torch.tensor([size] * len(frames))
        if isinstance(model, SelsaDetector):
            found = model.detect(features, sizes, references)
        else:
            found = model.detect(features, sizes)
        for frame, detections in zip(frames, found, strict=True):
            yield frame, detections.rescale(frame.scale, frame.original_size).to("cpu")
