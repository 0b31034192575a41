from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from stpn_core.errors import InputError
from stpn_vod.export import ExportConfig, export
from stpn_vod.export.graphs import graphs_of
from stpn_vod.export.write import padded_sizes
from stpn_vod.model_file import TrainedDetector
from stpn_vod.predict_config import PredictConfig
from stpn_vod.runner import read_manifest

from .export_tiny import SIDES, SIZE, TINY, tiny


def test_the_manifest_says_what_a_runner_needs(folder: Path, small: TrainedDetector) -> None:
    manifest = read_manifest(folder)
    assert manifest.classes == small.classes
    assert (manifest.policy, manifest.count, manifest.stride) == ("window", 4, 3)
    assert (manifest.short_side, manifest.long_side) == tuple(SIDES.values())
    assert [(g.height, g.width) for g in manifest.graphs] == [SIZE]
    assert set(manifest.files) == {p.name for p in folder.iterdir()} - {"model.json"}
    assert manifest.made_with["torch"] == torch.__version__.split("+")[0]
    graphs = {"plain", "encoder", "predictor", "head"}
    programs = {f"{name}, program" for name in graphs}
    assert {c.graph for c in manifest.checks} == graphs | programs | {"all together"}


def test_graphs_share_their_weights_and_tell_nothing_of_this_machine(folder: Path) -> None:
    places = []
    for path in folder.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(path)
        for tensor in model.graph.initializer:
            where = {entry.key: entry.value for entry in tensor.external_data}
            if where:
                places.append((int(where["offset"]), int(where["length"])))
        assert str(Path(__file__).parents[3]).encode() not in path.read_bytes()
    once = sum(length for _, length in set(places))
    assert once <= (folder / "weights.bin").stat().st_size <= once + 4096 * len(set(places))
    assert sum(length for _, length in places) > once + 50_000  # two encoders, one set of weights


@torch.no_grad()
def test_programs_of_torch_give_the_same(folder: Path, small: TrainedDetector) -> None:
    names = read_manifest(folder).programs[0]
    for graph in graphs_of(small.model, SIZE):
        program = torch.export.load(folder / getattr(names, graph.name))
        given = program.module()(*graph.inputs.values())
        expected = graph.module(*graph.inputs.values())
        for output, a, b in zip(graph.outputs, given, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4, err_msg=output)


def refused(detector: TrainedDetector, out: Path, config: ExportConfig) -> str:
    with pytest.raises(InputError) as error:
        export(detector, out, config, say=lambda _: None)
    assert not list(out.parent.glob(".*partial"))
    return str(error.value)


def test_what_cannot_be_exported(small: TrainedDetector, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "multiples of 32" in refused(small, out, ExportConfig(sizes=((60, 90),)))
    assert "18 to 23" in refused(small, out, ExportConfig(opset=9))
    assert "--format" in refused(small, out, ExportConfig(onnx=False))
    selsa = tiny(dataclasses.replace(TINY, head="selsa"))
    assert "SELSA" in refused(selsa, out, ExportConfig(sizes=(SIZE,)))
    assert not out.exists()
    (out / "thesis").mkdir(parents=True)
    assert "no export" in refused(small, out, ExportConfig(sizes=(SIZE,)))
    assert (out / "thesis").is_dir()


def test_missing_packages_are_named(
    small: TrainedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    message = refused(small, tmp_path / "out", ExportConfig(sizes=(SIZE,)))
    assert "needs onnxscript: pip install 'stpn-vod[export]'" in message


def test_sizes() -> None:
    assert padded_sizes(ExportConfig()) == ((608, 800), (576, 1024))
    assert padded_sizes(ExportConfig(predict=PredictConfig(short_side=64, long_side=64))) == (
        (64, 64),
    )
    assert padded_sizes(ExportConfig(sizes=((96, 64), (64, 64), (64, 64)))) == ((64, 64), (96, 64))


def test_the_twin_has_no_graphs_for_prompts() -> None:
    twin = tiny(TINY.single_frame())
    assert [graph.name for graph in graphs_of(twin.model, SIZE)] == ["plain", "head"]


def test_deep_prompts_are_one_input_for_each_layer() -> None:
    deep = tiny(dataclasses.replace(TINY, deep=True))
    graphs = {graph.name: graph for graph in graphs_of(deep.model, SIZE)}
    assert list(graphs["encoder"].inputs) == ["image", "prompt_0", "prompt_1", "prompt_2"]
    assert graphs["predictor"].outputs == ("prompt_0", "prompt_1", "prompt_2")


def test_json_is_strict(folder: Path) -> None:
    json.loads((folder / "model.json").read_text(), parse_constant=pytest.fail)
