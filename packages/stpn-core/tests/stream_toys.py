"""Small policies, models and videos for the tests of streams."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stpn_core.predictors import create_predictor
from stpn_core.stpn import STPN
from stpn_core.streaming import StreamOutput, StreamState, SupportPolicy, finish, step
from stpn_core.vit import create_vit


@dataclass(frozen=True)
class Online:
    """The last `count` lattice frames before t."""

    count: int = 2
    stride: int = 4
    lookahead: int = 0

    def indices(self, t: int, length: int | None) -> list[int]:
        last = (t - 1) // self.stride * self.stride
        first = last - (self.count - 1) * self.stride
        return [i for i in range(first, last + 1, self.stride) if i >= 0]

    def is_support(self, t: int) -> bool:
        return t % self.stride == 0


@dataclass(frozen=True)
class Window:
    """Lattice frames on both sides of t."""

    per_side: int = 2
    stride: int = 4

    @property
    def lookahead(self) -> int:
        return self.per_side * self.stride

    def indices(self, t: int, length: int | None) -> list[int]:
        after = [i for i in range(t + 1, t + self.lookahead + 1) if i % self.stride == 0]
        before = Online(self.per_side, self.stride).indices(t, length)
        return before + [i for i in after if length is None or i < length]

    def is_support(self, t: int) -> bool:
        return t % self.stride == 0


@dataclass(frozen=True)
class Exact:
    """t - S and t + S: every frame supports others."""

    stride: int = 3

    @property
    def lookahead(self) -> int:
        return self.stride

    def indices(self, t: int, length: int | None) -> list[int]:
        last = t + self.stride if length is None else length - 1
        return [i for i in (t - self.stride, t + self.stride) if 0 <= i <= last]

    def is_support(self, t: int) -> bool:
        return True


@dataclass(frozen=True)
class Whole:
    """Three frames over the whole video, which a stream cannot know."""

    lookahead: int = sys.maxsize

    def indices(self, t: int, length: int | None) -> list[int]:
        assert length is not None
        return [0, length // 2, length - 1]

    def is_support(self, t: int) -> bool:
        return True


POLICIES: list[SupportPolicy] = [Online(), Window(), Exact()]


def build(predictor: str | None = "transformer", deep: bool = False, depth: int = 2) -> STPN:
    torch.manual_seed(0)
    encoder = create_vit(
        "vit_tiny_patch16_224",
        pyramid_dim=None,
        img_size=32,
        embed_dim=16,
        depth=depth,
        num_heads=2,
    )
    dims = encoder.prompt_dims if deep else encoder.prompt_dim
    made = predictor and create_predictor(
        predictor, support_dim=encoder.support_dim, prompt_dims=dims, num_prompts=3
    )
    return STPN(encoder, made or None).eval()


def video(length: int, seed: int = 0, size: int = 32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(length, 3, size, size, generator=generator))


def run(
    stpn: STPN, frames: Sequence[Tensor], state: StreamState, cuts: Collection[int] = ()
) -> list[StreamOutput]:
    outputs = []
    for i, frame in enumerate(frames):
        ready, state = step(stpn, state, frame, new_shot=i in cuts)
        outputs += ready
    return outputs + finish(stpn, state)


def same(a: Sequence[StreamOutput], b: Sequence[StreamOutput]) -> bool:
    return len(a) == len(b) and all(
        x.index == y.index
        and x.has_prompt == y.has_prompt
        and all(torch.equal(m, n) for m, n in zip(x.features.maps, y.features.maps, strict=True))
        for x, y in zip(a, b, strict=True)
    )
