"""Weights for other code, and Transformers' Mask2Former as a second opinion."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from stpn_core.errors import InputError
from stpn_core.weights import read_checkpoint
from stpn_vis.build import build_segmenter
from stpn_vis.conversion import convert_segmenter
from stpn_vis.export_weights import (
    export_weights,
    to_detectron2,
    to_transformers,
    transformers_config,
)
from stpn_vis.segmenter import Segmenter
from stpn_vis.weight_names import file_name
from stpn_vis.weights import StoredSegmenter, read_segmenter

from .tiny import CONFIG, inputs, objects

# Transformers fixes the type of its relative position tables and the number of points, no more.
PLAIN = dataclasses.replace(CONFIG, predictor=None, mask_dim=32, drop_path=0.3)


def _shaken(config=PLAIN) -> Segmenter:
    """Fresh weights are too tidy to tell two names apart: biases of 0, norms of 1."""
    torch.manual_seed(0)
    model = build_segmenter(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def _stored(model: Segmenter, config=PLAIN) -> StoredSegmenter:
    return StoredSegmenter(model.state_dict(), config, ("a", "b", "c", "d"), "here")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["detectron2", "transformers"])
def test_round_trip(name, tmp_path):
    model = _shaken()
    out = tmp_path / ("model.pth" if name == "detectron2" else "folder")
    export_weights(_stored(model), out, name)
    stored = read_segmenter(out if name == "detectron2" else out / "model.safetensors")
    assert dataclasses.replace(stored.config, points=PLAIN.points) == PLAIN
    assert stored.state.keys() == model.state_dict().keys()
    for key, tensor in model.state_dict().items():
        assert torch.equal(stored.state[key], tensor), key


def test_golden_names_come_back(shared):
    folder = shared / "golden/vis"
    for file, back in (
        ("G_ckpt_d2.pth", to_detectron2),
        ("G_ckpt_hf4_names.safetensors", to_transformers),
    ):
        theirs = dict(read_checkpoint(folder / file).state)
        converted, header = convert_segmenter(theirs, {})
        exported = back(converted)
        assert set(theirs) - set(exported.state) == set(json.loads(header["left_out"]))
        assert all(torch.equal(theirs[key], tensor) for key, tensor in exported.state.items())
        assert exported.left_out == ()


def test_prompts_are_left_out_and_named():
    config = dataclasses.replace(CONFIG, prompt_aux=0.1)
    exported = to_detectron2(_shaken(config).state_dict())
    assert "presence.linear.weight" in exported.left_out
    assert any(key.startswith("stpn.predictor.") for key in exported.left_out)
    assert exported.state.keys() == to_detectron2(_shaken().state_dict()).state.keys()


def test_what_has_no_place_there_is_refused(tmp_path):
    three = dataclasses.replace(
        PLAIN, arch={"embed_dim": 16, "depths": (1, 1, 1), "num_heads": (2, 4, 8)}
    )
    with pytest.raises(InputError, match="3 Swin stages"):
        to_transformers(build_segmenter(three).state_dict())
    state = _shaken().state_dict()
    with pytest.raises(InputError, match=r"decoder\.norm\.bias"):
        to_detectron2({key: value for key, value in state.items() if key != "decoder.norm.bias"})
    with pytest.raises(InputError, match=r"strange"):
        to_detectron2(state | {"strange": torch.zeros(1)})
    with pytest.raises(InputError, match="4 points"):
        transformers_config(dataclasses.replace(PLAIN, attention_points=8))
    with pytest.raises(InputError, match=r"\*\.pth"):
        export_weights(_stored(_shaken()), tmp_path / "model.pkl", "detectron2")
    with pytest.raises(InputError, match="no folder"):
        export_weights(_stored(_shaken()), tmp_path / "no" / "folder", "transformers")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Segmenter, nn.Module]:
    """Our model, and Transformers' with the weights and the configuration exported from it."""
    transformers = pytest.importorskip("transformers", "5")
    model = _shaken()
    folder = tmp_path_factory.mktemp("export") / "folder"
    export_weights(_stored(model), folder, "transformers")
    theirs, info = transformers.Mask2FormerForUniversalSegmentation.from_pretrained(
        folder, output_loading_info=True, local_files_only=True
    )
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    assert all("swin.layernorm" in k or "empty_weight" in k for k in info["missing_keys"])
    return model, theirs.eval()


@torch.no_grad()
def test_transformers_predicts_the_same(pair):
    model, theirs = pair
    # whole windows of 7 in the first two stages; the padding in the others is the same, too
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    found = model(images)
    expected = theirs(pixel_values=images)
    assert_close(found.logits, expected.class_queries_logits, atol=1e-4, rtol=1e-4)
    assert_close(found.masks, expected.masks_queries_logits, atol=1e-3, rtol=1e-4)


def _same_points(*shape: object, **_: object) -> Tensor:
    """Instead of random ones: the same for every mask, and in every order of calls."""
    sides = shape[0] if isinstance(shape[0], tuple) else shape
    count, dim = sides[-2:]  # type: ignore[index]
    generator = torch.Generator().manual_seed(int(count))
    return (
        torch.empty(int(count), int(dim)).uniform_(generator=generator).expand(sides).contiguous()
    )  # type: ignore[arg-type]


def test_transformers_has_the_same_loss_and_gradients(pair, monkeypatch):
    model, theirs = pair
    images, _, _ = inputs()
    targets = [objects(1, 3, 0), objects(2, seed=1)]
    monkeypatch.setattr(torch, "rand", _same_points)
    expected = theirs(
        pixel_values=images,
        mask_labels=[target.masks.float() for target in targets],
        class_labels=[target.labels for target in targets],
    )
    total = torch.stack(list(model.loss(images, targets).values())).sum()
    assert_close(total, expected.loss.squeeze(), rtol=1e-5, atol=1e-5)
    total.backward()
    expected.loss.backward()
    ours = to_transformers({n: p.grad for n, p in model.named_parameters()}).state
    compared = 0
    for name, parameter in theirs.named_parameters():
        if parameter.grad is not None:
            mine = ours[file_name(name)]
            assert_close(
                mine, parameter.grad, rtol=1e-3, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )
            compared += 1
    assert compared == len(ours)
