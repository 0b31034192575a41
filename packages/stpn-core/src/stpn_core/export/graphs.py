"""The parts of a model that are exported, each with its inputs and outputs by name.

One frame of H x W padded pixels; K support frames, h x w grid and C channels of their tokens, P
prompts of width D_i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stpn_core.encoder import PromptedEncoder, Prompts
from stpn_core.errors import InputError
from stpn_core.export.manifest import LEAST
from stpn_core.stpn import STPN
from stpn_core.support_tokens import support_tokens

SUPPORT = {1: "support_frames"}
"""Any number of support frames, in the second dimension."""


@dataclass(frozen=True)
class Multiple:
    """A dimension that is `times` a number which is free, but not below `least`."""

    name: str
    times: int = 1
    least: int = LEAST


Free = Mapping[int, "str | Multiple"]
"""Dimensions that are not fixed by an example, each with a name; those of one name are equal."""


@dataclass(frozen=True, eq=False)
class Graph:
    """name: what the graph is for, as `Graphs` of the manifest calls it. inputs: examples by name,
    in the order of the module's arguments. outputs: names. free: see `Free`, by input."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    free: Mapping[str, Free] = field(default_factory=dict)


class PlainGraph(nn.Module):
    """Encoder without prompts: image -> maps, then the tokens (1, h, w, C) of a support frame."""

    def __init__(self, encoder: PromptedEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.encoder(image)
        # contiguous: these are outputs, which no one can read without their strides
        tokens = support_tokens(self.encoder, features, image)
        return (*(level.contiguous() for level in features.maps), tokens.contiguous())


class EncoderGraph(nn.Module):
    """Encoder with prompts: image and prompts, one tensor or one for each layer -> maps."""

    def __init__(self, encoder: PromptedEncoder, deep: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.deep = deep

    def forward(self, image: Tensor, *prompts: Tensor) -> tuple[Tensor, ...]:
        features = self.encoder(image, list(prompts) if self.deep else prompts[0])
        return tuple(level.contiguous() for level in features.maps)


class PredictorGraph(nn.Module):
    """Support tokens (1, K, h, w, C) and valid (1, K) -> prompts (1, P, D_i)."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, tokens: Tensor, valid: Tensor) -> tuple[Tensor, ...]:
        return layers_of(self.predictor(tokens, valid))


def layers_of(prompts: Prompts) -> tuple[Tensor, ...]:
    """Shallow prompts as one layer, deep ones as they are."""
    return (prompts,) if isinstance(prompts, Tensor) else tuple(prompts)


@torch.no_grad()
def encoder_graphs(
    stpn: STPN, size: tuple[int, int], *, any_size: bool = False, pad_to: int = 32
) -> list[Graph]:
    """Graphs `plain`, `encoder` and `predictor` for padded frames of `size` (H, W); the first alone
    without a predictor. A head takes the inputs `map_0`, `map_1`, … that these give.

    any_size: `size` is an example, and other multiples of `pad_to` pixels will do, from `LEAST` up.
    """
    image = torch.randn(1, 3, *size)
    plain = PlainGraph(stpn.encoder)
    *levels, tokens = plain(image)
    maps = map_names(len(levels))
    image_free = {"image": whole_size(1, pad_to)} if any_size else {}
    graphs = [Graph("plain", plain, {"image": image}, (*maps, "tokens"), image_free)]
    if stpn.predictor is None:
        return graphs
    support = {
        "tokens": tokens[:, None].expand(-1, 3, -1, -1, -1).contiguous(),
        "valid": torch.ones(1, 3, dtype=torch.bool),
    }
    predicted = stpn.predictor(*support.values())
    deep = not isinstance(predicted, Tensor)
    prompts = {f"prompt_{i}": p.contiguous() for i, p in enumerate(layers_of(predicted))}
    encoder = EncoderGraph(stpn.encoder, deep)
    predictor = PredictorGraph(stpn.predictor)
    support_free: dict[str, Free] = {"tokens": SUPPORT, "valid": SUPPORT}
    if any_size:
        grid = whole_size(image.shape[2] // tokens.shape[1], pad_to)  # of axes 2 and 3, as of a map
        support_free["tokens"] = {**SUPPORT, **grid}
    return [
        *graphs,
        Graph("encoder", encoder, {"image": image} | prompts, maps, image_free),
        Graph("predictor", predictor, support, tuple(prompts), support_free),
    ]


def whole_size(stride: int, pad_to: int = 32) -> Free:
    """Height and width of a map (1, C, H, W) of `stride`, of images of any size.

    Raises InputError if images that are padded to multiples of `pad_to` have no whole maps.
    """
    if pad_to % stride:
        raise InputError(
            f"frames are padded to multiples of {pad_to} pixels, which a map of stride {stride} "
            "does not divide: graphs cannot take any size. Export fixed ones (--size HEIGHTxWIDTH)"
        )
    return {2: Multiple("rows", pad_to // stride), 3: Multiple("columns", pad_to // stride)}


def example_maps(stpn: STPN, size: tuple[int, int]) -> dict[str, Tensor]:
    """What the encoder gives a head, by name: (1, C_i, H_i, W_i) of noise, finest first."""
    with torch.no_grad():
        maps = stpn.encoder(torch.randn(1, 3, *size)).maps
    return dict(zip(map_names(len(maps)), (m.contiguous() for m in maps), strict=True))


def map_names(count: int) -> tuple[str, ...]:
    """map_0, map_1, …"""
    return tuple(f"map_{i}" for i in range(count))
