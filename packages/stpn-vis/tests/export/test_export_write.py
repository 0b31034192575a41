"""What an export holds, and what cannot be exported."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from stpn_core.errors import InputError, NumericsError
from stpn_core.export.check import random_samples
from stpn_vis.export import ExportConfig, export
from stpn_vis.export.check import check_segmenter
from stpn_vis.export.graphs import HEAD_OUTPUTS, exportable, graphs_of
from stpn_vis.export.write import padded_sizes
from stpn_vis.model_file import TrainedSegmenter
from stpn_vis.predict_config import PredictConfig
from stpn_vis.runner import open_exported, read_manifest

from .conftest import SIDES, SIZE, trained


def test_the_manifest_says_what_a_runner_needs(folder: Path, small: TrainedSegmenter) -> None:
    manifest = read_manifest(folder)
    assert manifest.classes == small.classes
    assert (manifest.policy, manifest.count, manifest.stride) == ("window", 4, 3)
    assert (manifest.short_side, manifest.long_side) == tuple(SIDES.values())
    assert [(g.height, g.width) for g in manifest.graphs] == [SIZE]
    assert set(manifest.files) == {p.name for p in folder.iterdir()} - {"model.json"}
    graphs = {"plain", "encoder", "predictor", "head", "all together"}
    assert {check.graph for check in manifest.checks} == graphs
    assert all(check.largest < 1e-4 and check.alone == 0 for check in manifest.checks)
    json.loads((folder / "model.json").read_text(), parse_constant=pytest.fail)


def test_deformable_attention_samples_as_torch_does(folder: Path, small: TrainedSegmenter) -> None:
    """The head alone on maps unlike those it was traced with, points beyond the border included."""
    generator = torch.Generator().manual_seed(3)
    head = graphs_of(exportable(small.model), SIZE)[1]
    maps = {n: 3 * torch.randn(m.shape, generator=generator) for n, m in head.inputs.items()}
    session = onnxruntime.InferenceSession(folder / read_manifest(folder).graphs[0].head)
    given = session.run(list(HEAD_OUTPUTS), {name: level.numpy() for name, level in maps.items()})
    with torch.no_grad():
        expected = head.module(*maps.values())
    for output, a, b in zip(HEAD_OUTPUTS, given, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-4, err_msg=output)


def test_other_weights_are_found_out(folder: Path) -> None:
    exported = open_exported(folder, threads=1)
    other = exportable(trained(num_queries=6).model)
    with torch.no_grad():
        other.decoder.classifier.bias.add_(1e-2)
    graphs = exported.manifest.graphs[0]
    checks = {c.graph: c for c in check_segmenter(other, exported, graphs, random_samples(graphs))}
    assert checks["plain"].largest < 1e-4
    assert checks["head"].largest > 1e-3


def test_a_difference_above_the_tolerance_leaves_nothing(
    small: TrainedSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["stpn_vis.export.write"]
    monkeypatch.setattr(module, "write_graphs", lambda *a, **k: _nothing())
    monkeypatch.setattr(module, "_check", lambda *a: (_bad(),))
    with pytest.raises(NumericsError, match="3 of 100 mask pixels on one side only"):
        export(small, tmp_path / "out", ExportConfig(sizes=(SIZE,)), say=lambda _: None)
    assert not list(tmp_path.iterdir())
    loose = ExportConfig(sizes=(SIZE,), tolerance=float("inf"))
    export(small, tmp_path / "out", loose, say=lambda _: None)
    assert (tmp_path / "out" / "model.json").is_file()


def _nothing() -> object:
    from stpn_core.export.write import Written

    return Written((), (), {}, ())


def _bad() -> object:
    from stpn_core.export.manifest import Check

    return Check("head", "64x96", "random", 0.5, 100, 3)


def test_what_cannot_be_exported(
    small: TrainedSegmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def refused(config: ExportConfig) -> str:
        with pytest.raises(InputError) as error:
            export(small, out, config, say=lambda _: None)
        assert not list(tmp_path.glob(".*partial"))
        return str(error.value)

    assert "multiples of 32" in refused(ExportConfig(sizes=((60, 90),)))
    assert "18 to 23" in refused(ExportConfig(opset=9))
    assert "--format" in refused(ExportConfig(onnx=False))
    (out / "thesis").mkdir(parents=True)
    assert "no export" in refused(ExportConfig(sizes=(SIZE,)))
    assert (out / "thesis").is_dir()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "needs onnxscript: pip install 'stpn-vis[export]'" in refused(ExportConfig())


def test_sizes_and_graphs() -> None:
    assert padded_sizes(ExportConfig()) == ((480, 640), (480, 864))
    assert padded_sizes(ExportConfig(predict=PredictConfig(short_side=64, long_side=64))) == (
        (64, 64),
    )
    twin = trained(predictor=None)
    assert [graph.name for graph in graphs_of(twin.model, SIZE)] == ["plain", "head"]
    deep = {graph.name: graph for graph in graphs_of(trained(deep=True).model, SIZE)}
    assert list(deep["encoder"].inputs) == ["image", *deep["predictor"].outputs]
    assert len(deep["predictor"].outputs) == 5  # one for each block
