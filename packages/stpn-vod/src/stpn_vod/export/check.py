"""An export against torch, graph by graph, each fed with what torch gave the one before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.export import ExportedProgram

from stpn_core import Features
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN
from stpn_vod.export.graphs import Graph, layers_of
from stpn_vod.runner.found import Found
from stpn_vod.runner.manifest import Check, Graphs
from stpn_vod.runner.model import ExportedModel
from stpn_vod.selsa_detector import support_tokens

FLOOR = 0.05
"""Detections of lower scores may come and go with the last bit of a score and are not compared."""
NEAR = 8.0
"""Pixels within which two boxes can be the same object."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Network input (1, 3, H, W) float32 and its size (h, w) before padding; `frames` says whether
    it is random or real."""

    image: NDArray[np.float32]
    size: tuple[int, int]
    frames: str


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
    detector: FasterRCNN, exported: ExportedModel, graphs: Graphs, samples: Sequence[Sample]
) -> list[Check]:
    """The largest difference of every graph over samples of one kind, which support each other."""
    size, kind = f"{graphs.height}x{graphs.width}", samples[0].frames
    found: dict[str, list[Apart]] = {}
    for name, difference in _differences(detector, exported, graphs, samples):
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
    worst = _relative(graph.module(*inputs), given).largest
    return Check(f"{graph.name}, program", size, "random", worst)


def _differences(
    detector: FasterRCNN, exported: ExportedModel, graphs: Graphs, samples: Sequence[Sample]
) -> Iterator[tuple[str, Apart]]:
    stpn = detector.stpn
    every = []
    for sample in samples:
        image = torch.from_numpy(sample.image)
        features = stpn.encoder(image)
        tokens = support_tokens(stpn.encoder, features, image)
        given = exported.encode(graphs, sample.image, None)
        yield "plain", _relative(features.maps, given)
        yield "plain", _relative([tokens[0]], [exported.embed(graphs, sample.image)])
        yield "head", _of_detections(detector, exported, graphs, features, sample)
        every.append(tokens)
    if stpn.predictor is None:
        return
    for chosen in (every[:1], every):
        prompts = stpn.predict_prompts(torch.stack(chosen, dim=1))
        given = exported.prompts(graphs, [tokens[0].numpy() for tokens in chosen])
        yield "predictor", _relative(layers_of(prompts), given)
    layers = [np.ascontiguousarray(layer.numpy()) for layer in layers_of(prompts)]
    for sample in samples:
        features = stpn.encoder(torch.from_numpy(sample.image), prompts)
        given = exported.encode(graphs, sample.image, layers)
        yield "encoder", _relative(features.maps, given)
        yield "head", _of_detections(detector, exported, graphs, features, sample)
        yield "all together", _of_detections(detector, exported, graphs, features, sample, given)


def _of_detections(
    detector: FasterRCNN,
    exported: ExportedModel,
    graphs: Graphs,
    features: Features,
    sample: Sample,
    maps: Sequence[NDArray[Any]] | None = None,
) -> Apart:
    """Of torch's head on torch's features, and of the exported one on `maps`, by default the same."""
    if maps is None:
        maps = [np.ascontiguousarray(level.numpy()) for level in features.maps]
    found = detector.detect(features, torch.tensor([sample.size]))[0]
    return apart(found, exported.detect(graphs, maps, sample.size), detector.roi.postprocess.limit)


def _relative(expected: Iterable[Tensor], given: Iterable[NDArray[Any]]) -> Apart:
    """Largest difference in units of the largest value; infinite where one is not finite."""
    worst = 0.0
    for tensor, array in zip(expected, given, strict=True):
        want = tensor.numpy()
        if want.shape != array.shape or not np.isfinite(array).all():
            return Apart(float("inf"), 0, 0)
        scale = max(float(np.abs(want).max()), 1e-6)
        worst = max(worst, float(np.abs(want - array).max()) / scale)
    return Apart(worst, 0, 0)


@dataclass(frozen=True)
class Apart:
    """How two lists of detections differ. largest: difference of coordinates (pixels) and scores,
    each object with its like; of `compared` objects `alone` have none within `NEAR` pixels."""

    largest: float
    compared: int
    alone: int


def apart(expected: Detections, given: Found, limit: int) -> Apart:
    """Compare all objects whose place in the list does not hang on the last bit of a score: those
    above FLOOR, and above the weakest one where the list is full with `limit` objects."""
    boxes = expected.boxes.numpy(), given.boxes
    scores = expected.scores.numpy(), given.scores
    labels = expected.labels.numpy(), given.labels
    full = [float(s.min()) + 1e-3 for s in scores if len(s) >= limit]
    largest, compared, alone = 0.0, 0, 0
    for this, other in ((0, 1), (1, 0)):
        for i in np.flatnonzero(scores[this] > max([FLOOR, *full])):
            far = np.abs(boxes[other] - boxes[this][i]).max(axis=1, initial=0.0)
            far = np.maximum(far, np.abs(scores[other] - scores[this][i]))
            nearest = float(far[labels[other] == labels[this][i]].min(initial=np.inf))
            compared += 1
            if nearest <= NEAR:
                largest = max(largest, nearest)
            else:  # also what is not finite
                alone += 1
    return Apart(largest, compared, alone)
