"""The parts of a detector that are exported, each with its inputs and outputs by name.

One frame of H x W padded pixels; K support frames, h x w grid and C channels of their tokens, P
prompts of width D_i.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stpn_core.encoder import PromptedEncoder, Prompts
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.head import ExportedHead
from stpn_vod.selsa_detector import support_tokens


@dataclass(frozen=True, eq=False)
class Graph:
    """name: plain, encoder, predictor or head. inputs: examples by name, in the order of the
    module's arguments. outputs: names. any_number: inputs whose second dimension is K."""

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    any_number: tuple[str, ...] = field(default=())


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
def graphs_of(detector: FasterRCNN, size: tuple[int, int]) -> list[Graph]:
    """All graphs of a detector for padded frames of `size` (H, W)."""
    encoder, predictor = detector.stpn.encoder, detector.stpn.predictor
    image = torch.randn(1, 3, *size)
    plain = PlainGraph(encoder)
    *levels, tokens = plain(image)
    maps = {f"map_{i}": level for i, level in enumerate(levels)}
    head = Graph(
        "head",
        ExportedHead(detector),
        {"size": torch.tensor(size)} | maps,
        ("boxes", "scores", "labels", "count"),
    )
    graphs = [Graph("plain", plain, {"image": image}, (*maps, "tokens")), head]
    if predictor is None:
        return graphs
    support = {
        "tokens": tokens[:, None].expand(-1, 3, -1, -1, -1).contiguous(),
        "valid": torch.ones(1, 3, dtype=torch.bool),
    }
    predicted = predictor(*support.values())
    deep = not isinstance(predicted, Tensor)
    prompts = {f"prompt_{i}": p.contiguous() for i, p in enumerate(layers_of(predicted))}
    return [
        *graphs,
        Graph("encoder", EncoderGraph(encoder, deep), {"image": image} | prompts, tuple(maps)),
        Graph(
            "predictor",
            PredictorGraph(predictor),
            support,
            tuple(prompts),
            any_number=("tokens", "valid"),
        ),
    ]
