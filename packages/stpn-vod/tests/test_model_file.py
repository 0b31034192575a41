from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stpn_core.errors import InputError
from stpn_core.runs import CheckpointDamaged, weights_file
from stpn_core.weights import save_weights
from stpn_vod.model_file import load_trained


def test_a_run_a_checkpoint_and_a_file_give_the_same(trained):
    checkpoint = trained / "checkpoints" / "step-00000004"
    found = [load_trained(path) for path in (trained, checkpoint, checkpoint / "model.safetensors")]
    assert {one.source for one in found} == {checkpoint / "model.safetensors"}
    assert found[0].classes == found[2].classes == ("checks", "dots", "stripes")
    assert not found[0].model.training


def test_the_best_is_taken_before_the_last(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "best.json").write_text(json.dumps({"step": 2, "metric": "AP", "value": 0.5}))
    assert weights_file(run).parent.name == "step-00000002"
    (run / "best.json").unlink()
    assert weights_file(run).parent.name == "step-00000004"


def test_a_flipped_bit_in_a_run_is_found(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    path = run / "checkpoints" / "step-00000004" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)
    with pytest.raises(CheckpointDamaged, match=r"model\.safetensors: damaged"):
        load_trained(run)
    (run / "best.json").unlink()
    assert load_trained(run).source.parent.name == "step-00000002"


def changed(trained: Path, out: Path, **metadata: str) -> Path:
    """The weights of `trained` with another header."""
    source = weights_file(trained)
    with safe_open(source, "pt") as file:
        before = file.metadata()
    save_file(load_file(source), out, {**before, **metadata})
    return out


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"task": "vis"}, "vis"),
        ({"format_version": "99"}, "99"),
        ({"config": "{"}, "header is damaged"),
        ({"config": "{}", "classes": "[]"}, "describes a detector of 4"),  # the default: Swin-T
        ({"config": '{"fc_channels": 1000000000}', "classes": "[]"}, "describes a detector of 1"),
        ({"config": '{"fc_channels": 4611686018427387904}', "classes": "[]"}, "cannot be built"),
        ({"config": '{"num_promts": 3}'}, "num_promts"),
        ({"config": '{"encoder": 3}'}, "encoder"),
        ({"classes": "[1, 2, 3]"}, "classes"),
        ({"classes": '"abc"'}, "classes"),
        ({"classes": '["a"]'}, "classes"),
        ({"classes": "3"}, "classes"),
    ],
)
def test_a_header_that_is_wrong_says_so(trained, tmp_path, metadata, said):
    path = changed(trained, tmp_path / "other.safetensors", **metadata)
    with pytest.raises(InputError, match=said) as caught:
        load_trained(path)
    assert caught.value.exit_code == 2
    assert "other.safetensors" in str(caught.value)


def test_weights_that_are_no_detector_say_so(trained, tmp_path):
    state = load_file(weights_file(trained))
    encoder = {k.removeprefix("stpn."): v for k, v in state.items() if k.startswith("stpn.encoder")}
    save_weights(tmp_path / "encoder.safetensors", encoder, {"task": "encoder"})
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    whole = weights_file(trained).read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    for name in ("encoder.safetensors", "empty.safetensors", "page.pth", "other.pth"):
        with pytest.raises(InputError, match=name):
            load_trained(tmp_path / name)
    with pytest.raises(InputError, match=r"cut\.safetensors"):
        load_trained(tmp_path / "cut.safetensors")


def test_weights_of_another_shape_name_key_and_shapes(trained, tmp_path):
    source = weights_file(trained)
    state = load_file(source)
    name = next(key for key in state if key.startswith("fpn.") and key.endswith("weight"))
    shape = state[name].shape
    state[name] = torch.zeros(1, 2, 3, 4)
    with safe_open(source, "pt") as file:
        save_file(state, tmp_path / "other.safetensors", file.metadata())
    with pytest.raises(InputError) as caught:
        load_trained(tmp_path / "other.safetensors")
    for part in (name, "(1, 2, 3, 4)", str(tuple(shape))):
        assert part in str(caught.value)


def test_a_folder_without_weights_and_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="without a complete checkpoint"):
        load_trained(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        load_trained(tmp_path / "missing.safetensors")
