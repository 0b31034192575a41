"""MixFormer checkpoints: every live weight arrives, nothing in them is run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stpn_core.convert import main as convert
from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint
from stpn_vot.build import build_tracker
from stpn_vot.build_config import TrackerConfig
from stpn_vot.conversion import config_of, convert_tracker, our_name
from stpn_vot.weights import load_initial, load_tracker, read_tracker, save_tracker

from .networks import PROMPTED, TINY, images, tracker

WHOLE, FIRST_STAGE = "MixFormerOnlineScore_ep0500.pth.tar", "MixFormer_stage1.pth.tar"
DEAD = ("backbone.norm.", "backbone.head.")


@pytest.fixture
def manifest(shared: Path) -> dict[str, Any]:
    table = json.loads((shared / "golden/vot/checkpoints.json").read_text())
    return {entry["file"]: entry for entry in table["files"]}


@pytest.fixture
def theirs(shared: Path) -> dict[str, Tensor]:
    return dict(read_checkpoint(shared / "golden/vot" / WHOLE).state)


@pytest.mark.parametrize("name", [WHOLE, FIRST_STAGE])
def test_every_live_weight_arrives(shared, manifest, name):
    stored = read_tracker(shared / "golden/vot" / name)
    assert not any(module.split(".")[0] == "lib" for module in sys.modules)
    wanted = manifest[name]["tensors"]
    live = {key: facts for key, facts in wanted.items() if not key.startswith(DEAD)}
    assert len(live) == len(wanted) - 4
    assert {our_name(key) for key in live} == stored.state.keys()
    for key, facts in live.items():
        tensor = stored.state[our_name(key) or ""]
        assert list(tensor.shape) == facts["shape"]
        digest = hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()
        assert digest[:16] == facts["sha256"]
    model = stored.build()
    assert model.predictor is None
    found = model(images(1, 2, 3, 48, 48), images(1, 3, 96, 96))
    if name == WHOLE:
        assert found.scores is not None
        assert stored.notes == ()
    else:
        assert found.scores is None
        assert model.score_head is None
        assert "no score head" in stored.notes[0]


def test_an_attack_is_refused_and_not_run(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"refused.*io\.open"):
        read_tracker(shared / "golden/vot/malicious.pth.tar")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [WHOLE, FIRST_STAGE])
def test_the_convert_command(shared, tmp_path, capsys, name):
    target = tmp_path / "tracker.safetensors"
    assert convert([str(shared / "golden/vot" / name), str(target)]) == 0
    said = capsys.readouterr().out
    assert "converted by stpn-vot" in said
    assert "backbone.head.weight" in said, "what was left out is named"
    assert ("no score head" in said) == (name == FIRST_STAGE)
    direct, stored = read_tracker(shared / "golden/vot" / name), read_tracker(target)
    assert stored.config == direct.config
    assert stored.notes == direct.notes
    assert all(torch.equal(stored.state[key], direct.state[key]) for key in direct.state)


def test_the_published_size_is_recognised():
    for config in (
        TrackerConfig(predictor=None),
        TrackerConfig("cvt_13", predictor=None, score=False, head_channels=192),
        TrackerConfig(
            "cvt",
            {"dims": (192, 768, 1024), "depths": (2, 2, 12), "num_heads": (3, 12, 16)}
            | {"mlp_ratio": 4.0},
            predictor=None,
            score_heads=16,
        ),
    ):
        with torch.device("meta"):
            state = build_tracker(config).state_dict()
        found = config_of(state)
        assert found == (config if config.score else dataclasses.replace(config, score_heads=6))


def test_weights_without_a_counterpart_or_missing_are_named(theirs):
    assert convert_tracker(theirs, {}) is not None
    extra = theirs | {"box_head.conv6_tl.0.weight": torch.zeros(1)}
    with pytest.raises(InputError, match=r"1 weights without a counterpart.*conv6_tl"):
        convert_tracker(extra, {})
    for key in ("box_head.conv3_br.1.running_var", "score_branch.norm1.bias"):
        cut = {k: v for k, v in theirs.items() if k != key}
        with pytest.raises(InputError, match="1 weights missing in it"):
            convert_tracker(cut, {})


def test_other_weights_are_left_to_others(theirs):
    backbone = {k: v for k, v in theirs.items() if k.startswith("backbone.")}
    assert convert_tracker(backbone, {}) is None


def test_what_is_saved_comes_back(tmp_path):
    model = tracker(PROMPTED)
    path = tmp_path / "tracker.safetensors"
    save_tracker(path, model.state_dict(), PROMPTED)
    stored = read_tracker(path)
    assert stored.config == PROMPTED
    again = load_tracker(path)
    inputs = (images(1, 2, 3, 48, 48), images(1, 3, 96, 96), images(1, 2, 3, 96, 96, seed=3))
    assert torch.equal(again(*inputs).boxes, model(*inputs).boxes)
    assert torch.equal(again(*inputs).scores, model(*inputs).scores)


def test_a_header_that_lies_is_refused(tmp_path):
    model = tracker(TINY)
    path = tmp_path / "tracker.safetensors"
    save_tracker(path, model.state_dict(), TrackerConfig(predictor=None))
    with pytest.raises(InputError, match="the file holds"):
        load_tracker(path)


def test_a_start_from_less_names_what_kept_its_own_values(shared, tmp_path):
    first = tracker(dataclasses.replace(TINY, score=False), seed=1)
    path = tmp_path / "first.safetensors"
    save_tracker(path, first.state_dict(), dataclasses.replace(TINY, score=False))
    model = tracker(dataclasses.replace(PROMPTED, prompt_aux=0.1, num_classes=3), seed=2)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    report = load_initial(model, path)
    kept = {key for key in before if key.startswith(("predictor.", "presence.", "score_head."))}
    assert set(report.missing) == kept
    after, given = model.state_dict(), first.state_dict()
    for key, value in after.items():
        assert torch.equal(value, before[key] if key in kept else given[key])
    damaged = {k: v for k, v in given.items() if "top_left.last" not in k}
    save_tracker(path, damaged, dataclasses.replace(TINY, score=False))
    with pytest.raises(InputError, match="do not fit"):
        load_initial(model, path)


def test_an_encoder_alone_starts_a_tracker(theirs, tmp_path):
    path = tmp_path / "cvt.pth"
    torch.save({k.removeprefix("backbone."): v for k, v in theirs.items() if "backbone" in k}, path)
    model = build_tracker(TINY)
    load_initial(model, path)
    wanted = theirs["backbone.stage1.patch_embed.proj.weight"]
    assert torch.equal(model.encoder.state_dict()["stages.1.patch_embed.proj.weight"], wanted)
