"""An export against torch, graph by graph, each fed with what torch gave the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram

from stpn_core.export.graphs import Graph, layers_of
from stpn_core.export.manifest import Check, Graphs
from stpn_core.export.model import Array, ExportedEncoder
from stpn_core.features import Features
from stpn_core.stpn import STPN
from stpn_core.support_tokens import support_tokens


@dataclass(frozen=True, eq=False)
class Sample:
    """Network input (1, 3, H, W) float32 and its size (h, w) before padding; `frames` says whether
    it is random or real."""

    image: NDArray[np.float32]
    size: tuple[int, int]
    frames: str


@dataclass(frozen=True)
class Apart:
    """How two answers differ: the largest difference, and of `compared` things those that `alone`
    one side has."""

    largest: float
    compared: int = 0
    alone: int = 0


CompareHeads = Callable[[Features, Sample, Sequence[Array]], Apart]
"""How torch's head on torch's features differs from the exported one on maps."""


def random_samples(graphs: Graphs, count: int = 2) -> list[Sample]:
    """Noise, with a margin as padding leaves it."""
    generator = np.random.default_rng(0)
    size = graphs.height - min(8, graphs.height // 4), graphs.width - min(16, graphs.width // 4)
    samples = []
    for _ in range(count):
        image = np.zeros((1, 3, graphs.height, graphs.width), np.float32)
        image[..., : size[0], : size[1]] = generator.standard_normal((1, 3, *size))
        samples.append(Sample(image, size, "random"))
    return samples


@torch.no_grad()
def check_graphs(
    stpn: STPN,
    exported: ExportedEncoder[Any],
    graphs: Graphs,
    samples: Sequence[Sample],
    compare: CompareHeads,
) -> list[Check]:
    """The largest difference of every graph over samples of one kind, which support each other."""
    size, kind = f"{graphs.height}x{graphs.width}", samples[0].frames
    found: dict[str, list[Apart]] = {}
    for name, difference in _differences(stpn, exported, graphs, samples, compare):
        found.setdefault(name, []).append(difference)
    return [
        Check(
            name,
            size,
            kind,
            max(one.largest for one in every),
            sum(one.compared for one in every),
            sum(one.alone for one in every),
        )
        for name, every in found.items()
    ]


@torch.no_grad()
def check_program(graph: Graph, program: ExportedProgram, size: str) -> Check:
    """The largest difference of a program of torch from the module it was made of, on its example."""
    inputs = tuple(graph.inputs.values())
    given = [output.numpy() for output in program.module()(*inputs)]
    worst = relative(graph.module(*inputs), given).largest
    return Check(f"{graph.name}, program", size, "random", worst)


def relative(expected: Iterable[Tensor], given: Iterable[NDArray[Any]]) -> Apart:
    """Largest difference in units of the largest value; infinite where one is not finite."""
    worst = 0.0
    for tensor, array in zip(expected, given, strict=True):
        want = tensor.numpy()
        if want.shape != array.shape or not np.isfinite(array).all():
            return Apart(float("inf"))
        scale = max(float(np.abs(want).max()), 1e-6)
        worst = max(worst, float(np.abs(want - array).max()) / scale)
    return Apart(worst)


def _differences(
    stpn: STPN,
    exported: ExportedEncoder[Any],
    graphs: Graphs,
    samples: Sequence[Sample],
    compare: CompareHeads,
) -> Iterator[tuple[str, Apart]]:
    every = []
    for sample in samples:
        image = torch.from_numpy(sample.image)
        features = stpn.encoder(image)
        tokens = support_tokens(stpn.encoder, features, image)
        given = exported.encode(graphs, sample.image, None)
        yield "plain", relative(features.maps, given)
        yield "plain", relative([tokens[0]], [exported.embed(graphs, sample.image)])
        yield "head", compare(features, sample, _arrays(features.maps))
        every.append(tokens)
    if stpn.predictor is None:
        return
    for chosen in (every[:1], every):
        prompts = stpn.predict_prompts(torch.stack(chosen, dim=1))
        given = exported.prompts(graphs, [tokens[0].numpy() for tokens in chosen])
        yield "predictor", relative(layers_of(prompts), given)
    layers = _arrays(layers_of(prompts))
    for sample in samples:
        features = stpn.encoder(torch.from_numpy(sample.image), prompts)
        given = exported.encode(graphs, sample.image, layers)
        yield "encoder", relative(features.maps, given)
        yield "head", compare(features, sample, _arrays(features.maps))
        yield "all together", compare(features, sample, given)


def _arrays(tensors: Iterable[Tensor]) -> list[Array]:
    return [np.ascontiguousarray(tensor.numpy()) for tensor in tensors]
