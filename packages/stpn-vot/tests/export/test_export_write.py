from __future__ import annotations

import copy
import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from stpn_core.errors import InputError
from stpn_vot.export import ExportConfig, export
from stpn_vot.export.check import Clip, check_graphs, random_clip
from stpn_vot.export.command import real_clip
from stpn_vot.export.graphs import exportable, graphs_of
from stpn_vot.model_file import TrainedTracker
from stpn_vot.runner import open_exported, read_manifest
from stpn_vot.tracking_config import TrackingConfig

from ..networks import PROMPTED, TINY, tracker


def test_the_manifest_says_what_a_runner_needs(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert manifest.source == "tiny.safetensors"
    assert (manifest.tracking.template_size, manifest.tracking.search_size) == (48, 96)
    assert (manifest.tracking.support_stride, manifest.tracking.interval) == (2, 3)
    assert manifest.tracking.redetect
    assert set(manifest.files) == {p.name for p in folder.iterdir()} - {"model.json"}
    assert manifest.made_with["torch"] == torch.__version__.split("+")[0]
    every = {"template", "plain", "prompted", "predictor", "track"}
    assert {(c.graph, c.frames) for c in manifest.checks} == {
        (name, kind) for name in every for kind in ("random", "real")
    }
    assert max(check.largest for check in manifest.checks) < 1e-4
    json.loads((folder / "model.json").read_text(), parse_constant=pytest.fail)


def test_graphs_share_their_weights_and_have_no_batch_norm(folder: Path) -> None:
    places, here = [], str(Path(__file__).parents[3]).encode()
    for path in folder.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(path)
        for tensor in model.graph.initializer:
            where = {entry.key: entry.value for entry in tensor.external_data}
            if where:
                places.append((int(where["offset"]), int(where["length"])))
        assert here not in path.read_bytes()
    assert len(set(places)) < len(places)
    convolutions = [
        node
        for node in onnx.load(folder / "template.onnx", load_external_data=False).graph.node
        if node.op_type == "Conv"
    ]
    assert len(convolutions) == 3 + 4 * 3
    assert all(len(node.input) == 3 for node in convolutions), "each has a bias, the folded norm"


def test_real_frames_are_tracked_as_by_torch(
    folder: Path, small: TrainedTracker, shared: Path
) -> None:
    place = shared / "data/got10k/train/GOT-10k_Train_000001"
    if not place.is_dir():
        pytest.skip(f"{place} is not there")
    first = (place / "groundtruth.txt").read_text().splitlines()[0]
    clip = real_clip(str(place / "*.jpg"), first)
    assert clip is not None
    assert len(clip.frames) == 20
    found = {c.graph: c.largest for c in check_graphs(small.model, open_exported(folder), clip)}
    assert found["track"] < 1e-3, "of the box's size"


def test_other_weights_are_found_out(folder: Path, small: TrainedTracker) -> None:
    exported, model = open_exported(folder, threads=1), copy.deepcopy(small.model)
    with torch.no_grad():
        model.encoder.stages[1].blocks[0].attn.conv_proj_q.bn.bias.add_(0.5)
    found = {c.graph: c.largest for c in check_graphs(model, exported, random_clip(3))}
    assert min(found[name] for name in ("template", "plain", "prompted", "track")) > 1e-3
    assert found["predictor"] < 1e-4


def test_folding_changes_nothing_but_the_copy(small: TrainedTracker) -> None:
    before = {name: value.clone() for name, value in small.model.state_dict().items()}
    assert len(exportable(small.model).state_dict()) < len(before)
    after = small.model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_twins_and_deep_prompts_have_the_graphs_they_need() -> None:
    twin = graphs_of(tracker(TINY), 48, 96)
    assert [graph.name for graph in twin] == ["template", "plain"]
    assert "score" in twin[1].outputs
    deep = graphs_of(tracker(dataclasses.replace(PROMPTED, deep=True, score=False)), 48, 96)
    by_name = {graph.name: graph for graph in deep}
    assert by_name["predictor"].outputs == ("prompt_0", "prompt_1", "prompt_2", "prompt_3")
    assert list(by_name["prompted"].inputs)[-4:] == list(by_name["predictor"].outputs)
    assert by_name["prompted"].outputs == ("box", "map")


def refused(tracker: TrainedTracker, out: Path, config: ExportConfig) -> str:
    with pytest.raises(InputError) as error:
        export(tracker, out, config, say=lambda _: None)
    assert not list(out.parent.glob(".*partial"))
    return str(error.value)


def test_what_cannot_be_exported(
    small: TrainedTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    odd = ExportConfig(TrackingConfig(search_size=100))
    assert "multiple of 16" in refused(small, out, odd)
    assert "18 to 23" in refused(small, out, ExportConfig(opset=9))
    assert "--tolerance" in refused(small, out, ExportConfig(tolerance=0))
    assert not out.exists()
    (out / "thesis").mkdir(parents=True)
    assert "no export" in refused(small, out, ExportConfig())
    assert (out / "thesis").is_dir()
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    message = refused(small, tmp_path / "new", ExportConfig())
    assert message.endswith("needs onnxscript: pip install 'stpn-vot[export]'")


def test_real_frames_need_a_box(clip: Path) -> None:
    assert real_clip("", "") is None
    with pytest.raises(InputError, match="both"):
        real_clip(str(clip), "")
    with pytest.raises(InputError, match="outside"):
        real_clip(str(clip), "900,0,10,10")


def test_a_damaged_export_is_refused(folder: Path, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(folder, copied)
    assert read_manifest(copied) == read_manifest(folder)
    with open(copied / "weights.bin", "ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match="damaged"):
        open_exported(copied)


def test_random_clips_move() -> None:
    clip = random_clip(4)
    assert isinstance(clip, Clip)
    assert not np.array_equal(clip.frames[0], clip.frames[1])
