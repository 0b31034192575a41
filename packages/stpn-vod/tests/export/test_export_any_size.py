from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from stpn_core import create_predictor
from stpn_core.errors import InputError
from stpn_core.export.check import random_samples
from stpn_core.export.graphs import Graph, Multiple, PredictorGraph, example_maps, whole_size
from stpn_core.export.programs import program_of
from stpn_core.export.write import refuse_above
from stpn_vod.export import ExportConfig, export
from stpn_vod.export.check import STRAYS, check_graphs
from stpn_vod.export.graphs import graphs_of
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig
from stpn_vod.runner.model import open_exported

from .export_tiny import SIZE, TINY, tiny


@pytest.fixture(scope="module")
def shallow() -> TrainedDetector:
    arch = {"embed_dim": 8, "depths": (1, 1), "num_heads": (1, 2)}
    return tiny(dataclasses.replace(TINY, arch=arch))


def test_one_export_for_every_size(shallow: TrainedDetector, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    out = tmp_path / "any"
    predict = PredictConfig(short_side=96, long_side=96)
    export(shallow, out, ExportConfig(any_size=True, predict=predict), say=lambda _: None)
    exported = open_exported(out)
    assert [(g.height, g.width) for g in exported.manifest.graphs] == [(0, 0)]
    assert {c.size for c in exported.manifest.checks} == {"96x96"}
    # sizes that nothing was made or checked for, of every remainder against a window
    for size, padded in (((150, 200), (160, 224)), ((10, 300), (96, 320))):
        graphs = exported.graphs_for(size)
        assert (graphs.height, graphs.width) == padded
        checks = check_graphs(shallow.model, exported, graphs, random_samples(graphs))
        assert {c.graph for c in checks} >= {"plain", "encoder", "predictor", "head"}
        assert sum(c.compared for c in checks) > 20
        # these weights are shaken so much that rounding shows in pixels
        refuse_above(checks, 5e-3, STRAYS)
    # control: graphs of one size refuse a larger one
    with pytest.raises(InputError, match=f"there are {SIZE[0]}x{SIZE[1]}"):
        open_exported(folder).graphs_for((150, 200))


def test_the_head_of_a_whole_pyramid() -> None:
    """Its coarsest level is half as large as the last map, which has to be no single row."""
    arch = {"embed_dim": 8, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
    detector = tiny(dataclasses.replace(TINY, arch=arch, predictor=None)).model
    head = next(graph for graph in graphs_of(detector, None) if graph.name == "head")
    program = program_of(head).module()
    for height, width in ((96, 96), (192, 320)):
        maps = example_maps(detector.stpn, (height, width))
        inputs = torch.tensor([height - 9, width - 9]), *maps.values()
        for given, expected in zip(program(*inputs), head.module(*inputs), strict=True):
            torch.testing.assert_close(given, expected)
    with pytest.raises(AssertionError, match="Guard failed"):
        program(torch.tensor([64, 64]), *example_maps(detector.stpn, (64, 64)).values())


def test_a_named_size_is_preferred_where_it_fits_exactly(folder: Path) -> None:
    fixed = open_exported(folder)
    free = dataclasses.replace(fixed.manifest.graphs[0], height=0, width=0, plain="free.onnx")
    manifest = dataclasses.replace(fixed.manifest, graphs=(free, *fixed.manifest.graphs))
    both = type(fixed)(folder, manifest, threads=0, providers=[])
    assert both.graphs_for((60, 90)).plain == fixed.manifest.graphs[0].plain
    larger = both.graphs_for((64, 97))
    assert (larger.plain, larger.height, larger.width) == ("free.onnx", 96, 128)
    assert not both.enlarged


def test_what_cannot_take_every_size_says_so() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.reshape(1, 3, 96, -1)

    graph = Graph("plain", Fixed(), {"image": torch.zeros(1, 3, 96, 128)}, ("out",))
    program_of(graph)
    with pytest.raises(InputError, match=r"`plain` .* any columns, rows.*--size HEIGHTxWIDTH"):
        program_of(dataclasses.replace(graph, free={"image": whole_size(1)}))
    with pytest.raises(InputError, match=r"multiples of 16 .* stride 32"):
        whole_size(32, pad_to=16)


@pytest.mark.parametrize("name", ["transformer", "mixer", "attention", "average", "static"])
def test_predictors_take_maps_of_every_size(name: str) -> None:
    """The mixer pools in another way when it is exported."""
    options = {"num_heads": 2} if name == "transformer" else {}
    predictor = create_predictor(
        name, support_dim=8, prompt_dims=16, num_prompts=2, **options
    ).eval()
    graph = Graph(
        "predictor",
        PredictorGraph(predictor),
        {"tokens": torch.randn(1, 2, 9, 12, 8), "valid": torch.ones(1, 2, dtype=torch.bool)},
        ("prompt_0",),
        {"tokens": {2: Multiple("rows", 3), 3: Multiple("columns", 3)}},
    )
    program = program_of(graph).module()
    for shape in ((9, 12), (24, 9), (15, 33)):
        tokens, valid = torch.randn(1, 2, *shape, 8), torch.ones(1, 2, dtype=torch.bool)
        torch.testing.assert_close(program(tokens, valid)[0], predictor(tokens, valid))
