"""Prompts for the frames of a stored video, each support frame encoded once while it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stpn_core.encoder import Prompts
from stpn_data.sequence import EvalVideo
from stpn_data.transforms import cover
from stpn_vis.network_input import to_network
from stpn_vis.segmenter import Segmenter

Place = tuple[int, tuple[int, int]]
"""A frame of the video, and the network size (h, w) it is seen at."""


@dataclass
class VideoPrompts:
    """Frames are asked for from front to back."""

    model: Segmenter
    video: EvalVideo
    tokens: dict[Place, Tensor] = field(default_factory=dict)  # (1, 1, h, w, C) each
    support: tuple[Place, ...] = ()
    prompts: Prompts | None = None

    def of(self, support: Sequence[int], size: tuple[int, int]) -> Prompts | None:
        """Prompts, batch size 1, from frames `support` seen at network `size` (h, w)."""
        wanted = tuple((t, size) for t in support)
        if wanted == self.support:
            return self.prompts
        self.tokens = {place: kept for place, kept in self.tokens.items() if place in wanted}
        for place in dict.fromkeys(wanted):
            if place not in self.tokens:
                image = cover(self.video.support([place[0]])[0], size)
                frame = to_network(self.model, image)[None, None]
                self.tokens[place] = self.model.stpn.embed_support(frame)
        self.support, self.prompts = wanted, None
        if wanted:
            tokens = torch.cat([self.tokens[place] for place in wanted], dim=1)
            self.prompts = self.model.stpn.predict_prompts(tokens)
        return self.prompts
