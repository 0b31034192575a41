"""Segmenter files of our own, and what a training run may start from."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stpn_core.errors import InputError
from stpn_vis.build import build_segmenter
from stpn_vis.weights import load_initial, load_segmenter, read_segmenter, save_segmenter

from .tiny import CONFIG

TINY = dataclasses.replace(
    CONFIG,
    arch={"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4), "mlp_ratio": 2.0},
    decoder_layers=1,
)
NAMES = ("cat", "dog", "ox", "hen")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "model.safetensors"


def test_round_trip(path):
    config = dataclasses.replace(TINY, prompt_aux=0.2, predictor="transformer", deep=True)
    model = build_segmenter(config)
    save_segmenter(path, model.state_dict(), config, NAMES)
    stored = read_segmenter(path)
    assert stored.config == config
    assert stored.classes == NAMES
    again = load_segmenter(path)
    assert not again.training
    assert all(torch.equal(a, model.state_dict()[k]) for k, a in again.state_dict().items())


def test_files_that_do_not_fit_are_refused(path):
    state = build_segmenter(TINY).state_dict()
    save_segmenter(path, state, dataclasses.replace(TINY, num_classes=5))
    with pytest.raises(
        InputError, match=r"decoder\.classifier\.weight: file \(5, 32\), model \(6, 32\)"
    ):
        load_segmenter(path)
    save_segmenter(path, state | {"extra": torch.zeros(1)}, TINY)
    with pytest.raises(InputError, match="does not belong to its own configuration"):
        load_segmenter(path)
    save_segmenter(path, {k: v for k, v in state.items() if k != "decoder.norm.bias"}, TINY)
    with pytest.raises(InputError, match=r"decoder\.norm\.bias: file has none"):
        load_segmenter(path)
    save_file({"backbone.layer1.weight": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="no segmenter"):
        load_segmenter(path)
    with pytest.raises(InputError, match="2 class names for weights of 4 classes"):
        save_segmenter(path, state, TINY, ("cat", "dog"))


def test_weights_of_another_task_are_refused(path):
    header = {"format": "stpn", "format_version": "1", "task": "vod", "config": "{}"}
    save_file({"x": torch.zeros(1)}, path, header)
    with pytest.raises(InputError, match="for the task 'vod', not for 'vis'"):
        load_segmenter(path)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", "header is damaged"),
        ('{"encodr": "swin"}', "encodr"),
        ('{"num_classes": "three"}', "num_classes"),
        ('{"num_queries": 100000000}', "describes a segmenter of"),
        ('{"hidden": 48}', "multiple of 32"),
    ],
)
def test_damaged_headers_are_refused(path, config, reason):
    header = {"format": "stpn", "format_version": "1", "task": "vis", "config": config}
    save_file({"x": torch.zeros(1)}, path, header)
    with pytest.raises(InputError, match=reason):
        load_segmenter(path)


def test_starting_with_a_fresh_class_layer(path):
    source = build_segmenter(TINY)
    save_segmenter(path, source.state_dict(), TINY)
    model = build_segmenter(dataclasses.replace(TINY, num_classes=5, prompt_aux=0.1))
    before = model.decoder.classifier.weight.clone()
    report = load_initial(model, path)
    assert torch.equal(model.decoder.norm.weight, source.decoder.norm.weight)
    assert torch.equal(model.decoder.classifier.weight, before)
    assert set(report.missing) == {
        f"{layer}.{leaf}"
        for layer in ("decoder.classifier", "presence.linear")
        for leaf in ("weight", "bias")
    }


def test_the_class_layer_is_kept_for_as_many_classes_only(path):
    source = build_segmenter(TINY)
    save_segmenter(path, source.state_dict(), TINY)
    model = build_segmenter(TINY)
    assert not load_initial(model, path, class_head="keep").missing
    assert torch.equal(model.decoder.classifier.weight, source.decoder.classifier.weight)
    other = build_segmenter(dataclasses.replace(TINY, num_classes=5))
    with pytest.raises(InputError, match="is for 4 classes, the model's for 5; drop it"):
        load_initial(other, path, class_head="keep")


def test_rows_of_coco_go_to_the_classes_of_the_same_name(path):
    coco = dataclasses.replace(TINY, num_classes=80)
    source = build_segmenter(coco)
    save_segmenter(path, source.state_dict(), coco)
    model = build_segmenter(TINY)
    before = model.decoder.classifier.weight.clone()
    load_initial(model, path, class_head="coco", classes=NAMES)
    theirs, found = source.decoder.classifier.weight, model.decoder.classifier.weight
    for row, expected in enumerate((theirs[15], theirs[16], before[2], before[3], theirs[80])):
        assert torch.equal(found[row], expected)
    with pytest.raises(InputError, match="0 class names for 4 classes"):
        load_initial(model, path, class_head="coco")
    save_segmenter(path, build_segmenter(TINY).state_dict(), TINY)
    with pytest.raises(InputError, match="5 rows, COCO's has 81"):
        load_initial(model, path, class_head="coco", classes=NAMES)


def test_starting_from_the_single_frame_twin(path):
    twin = TINY.single_frame()
    source = build_segmenter(twin)
    save_segmenter(path, source.state_dict(), twin)
    model = build_segmenter(TINY)
    report = load_initial(model, path, class_head="keep")
    assert torch.equal(model.decoder.norm.weight, source.decoder.norm.weight)
    assert report.missing
    assert all(key.startswith("stpn.predictor.") for key in report.missing)


def test_starting_from_a_segmenter_of_another_shape_is_refused(path):
    save_segmenter(path, build_segmenter(TINY).state_dict(), TINY)
    with pytest.raises(InputError, match=r"decoder\.query_content\.weight: file .*, model "):
        load_initial(build_segmenter(dataclasses.replace(TINY, num_queries=7)), path)


def test_prompts_of_the_other_merge_are_refused(path):
    released = dataclasses.replace(TINY, prompt_merge="released")
    save_segmenter(path, build_segmenter(released).state_dict(), released)
    with pytest.raises(InputError, match=r"set --model\.prompt-merge released"):
        load_initial(build_segmenter(TINY), path)
    load_initial(build_segmenter(released), path)
    load_initial(build_segmenter(TINY.single_frame()), path)


def test_starting_from_another_projects_checkpoint_or_an_encoder_alone(golden, shared):
    folder = shared / "golden" / "vis"
    stored = read_segmenter(folder / "G_ckpt_d2.pkl")
    config = dataclasses.replace(
        stored.config, predictor="attention", predictor_options={"num_heads": 2}, num_classes=3
    )
    model = build_segmenter(config)
    report = load_initial(model, folder / "G_ckpt_d2.pkl")
    assert not report.mismatched
    assert torch.equal(model.decoder.norm.weight, stored.state["decoder.norm.weight"])
    sizes = golden("vod/g4_init_coco_layout")[1]["config"]
    arch = {
        "embed_dim": sizes["embed_dims"],
        "depths": tuple(sizes["depths"]),
        "num_heads": tuple(sizes["num_heads"]),
        "mlp_ratio": sizes["mlp_ratio"],
    }
    model = build_segmenter(dataclasses.replace(TINY, arch=arch, predictor=None))
    before = model.stpn.encoder.body.patch_embed.proj.weight.clone()
    head = model.pixel_decoder.mask_features.weight.clone()
    load_initial(model, shared / "golden" / "vod" / "g4_init_coco_layout.pth")
    assert not torch.equal(model.stpn.encoder.body.patch_embed.proj.weight, before)
    assert torch.equal(model.pixel_decoder.mask_features.weight, head)
