"""The whole segmenter: what must hold for any batch, support and precision."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from stpn_core import STPN
from stpn_core.errors import InputError
from stpn_core.testing import TaskConformance
from stpn_vis.build import build_segmenter
from stpn_vis.build_config import SegmenterConfig
from stpn_vis.predictions import FramePredictions, Target

from .tiny import CONFIG, LOSSES, inputs, objects, segmenter, total
from .weights_of import golden_state


class TestConformance(TaskConformance):
    def build(self) -> nn.Module:
        return segmenter(prompt_aux=0.1)

    def stpn(self, model: nn.Module) -> STPN:
        return model.stpn  # type: ignore[return-value]

    def outputs(
        self, model: nn.Module, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> Sequence[Sequence[Tensor]]:
        found = model(images, support, valid)
        return list(zip(found.logits, found.masks, found.embeddings, strict=True))

    def loss(
        self, model: nn.Module, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> Tensor:
        targets = [objects(1, 3), objects(), objects(0, seed=1)]
        generator = torch.Generator().manual_seed(0)
        labels = [target.labels for target in targets]
        return total(
            model.loss(  # type: ignore[operator]
                images, targets, support, valid, support_labels=labels, generator=generator
            )
        )


def _tensors(found: FramePredictions) -> tuple[Tensor, Tensor, Tensor]:
    return found.logits, found.masks, found.embeddings


def test_the_published_size():
    with torch.device("meta"):
        plain = build_segmenter(SegmenterConfig().single_frame())
        prompted = build_segmenter(SegmenterConfig())
    parameters = [sum(p.numel() for p in model.parameters()) for model in (plain, prompted)]
    assert round(parameters[0] / 1e6, 2) == 47.41
    assert parameters[1] - parameters[0] == 111_072 + 96 * 5
    assert all(p.requires_grad for p in prompted.parameters())


@pytest.mark.parametrize("sampling", ["grid_sample", "embedding_bag"])
def test_golden_image_to_predictions(golden, sampling):
    tensors, about = golden("vis/G_model")
    theirs = about["config"]
    model = build_segmenter(
        SegmenterConfig(
            encoder="swin",
            arch={
                "embed_dim": theirs["embed_dim"],
                "depths": tuple(theirs["depths"]),
                "num_heads": tuple(theirs["num_heads"]),
                "mlp_ratio": theirs["mlp_ratio"],
            },
            predictor=None,
            num_classes=theirs["num_classes"],
            num_queries=theirs["num_queries"],
            hidden=theirs["hidden_dim"],
            mask_dim=theirs["mask_dim"],
            heads=theirs["nheads"],
            sampling=sampling,
            pixel_layers=theirs["enc_layers"],
            pixel_ffn=theirs["encoder_ffn_dim"],
            decoder_layers=theirs["dec_layers"],
            decoder_ffn=theirs["ffn_dim"],
        )
    ).eval()
    model.load_state_dict(golden_state(tensors))
    bounds = about["tolerance"]
    with torch.no_grad():
        features = model.stpn(tensors["in.image"])
        mask_features, levels = model.pixel_decoder(features)
        normed = model.decoder(mask_features, levels)
    for index, found in enumerate(features.maps):
        assert_close(found, tensors[f"out.res{index + 2}"], **bounds["backbone"])
    for index, found in enumerate(levels):
        assert_close(found, tensors[f"out.multi_scale.{index}"], atol=1e-4, rtol=1e-4)
    assert_close(mask_features, tensors["out.mask_features"], atol=1e-4, rtol=1e-4)
    logits = torch.stack([model.decoder.classify(n) for n in normed])
    assert_close(logits, tensors["out.logits"], **bounds["logits"])
    found = model(tensors["in.image"])
    assert_close(found.logits, tensors["out.logits"][-1], atol=1e-4, rtol=1e-4)
    assert_close(found.masks, tensors["out.masks_last"], **bounds["masks_last"])
    assert_close(found.embeddings, tensors["out.embds"], atol=1e-4, rtol=1e-4)


def test_shapes_and_kind():
    model = segmenter()
    found = model(*inputs())
    assert found.logits.shape == (2, 6, 5)
    assert found.masks.shape == (2, 6, 16, 24)
    assert found.embeddings.shape == (2, 6, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(*inputs())
    for tensor, near in zip(_tensors(half), _tensors(found), strict=True):
        assert tensor.dtype == torch.float32
        assert not tensor.requires_grad
        assert not torch.equal(tensor, near), "control: bf16 does something"


def test_without_prompts_it_is_plain_minvis_bit_for_bit():
    model = segmenter()
    plain = segmenter(predictor=None)
    assert not plain.load_state_dict(model.state_dict(), strict=False).missing_keys
    images, support, valid = inputs()
    expected = _tensors(plain(images))
    for found in (model(images), model(images, support, valid & False)):
        assert all(torch.equal(a, b) for a, b in zip(_tensors(found), expected, strict=True))
    prompted = _tensors(model(images, support, valid))
    assert not torch.equal(prompted[0], expected[0]), "control: prompts do act"


def test_decode_continues_from_encoded_images():
    model = segmenter()
    images, support, valid = inputs()
    with torch.no_grad():
        features = model.stpn(images, support, valid)
    pairs = zip(
        _tensors(model.decode(features)), _tensors(model(images, support, valid)), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


def test_losses_of_every_layer_have_a_name():
    model = segmenter().train()
    losses = model.loss(*inputs()[:1], [objects(1, 3), objects(0)], *inputs()[1:])
    assert set(losses) == LOSSES
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())


def test_loss_is_reproducible_with_a_generator():
    model = segmenter().train()
    images, support, valid = inputs()

    def loss(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        targets = [objects(1, 3), objects(0)]
        return total(model.loss(images, targets, support, valid, generator=generator)).detach()

    assert torch.equal(loss(1), loss(1))
    assert not torch.equal(loss(1), loss(2))


def test_frames_without_objects_train():
    model = segmenter().train()
    images, support, valid = inputs()
    losses = model.loss(images, [objects(), objects()], support, valid)
    assert all(losses[key].item() == 0 for key in losses if "mask" in key or "dice" in key)
    assert all(losses[key].item() > 0 for key in losses if key.startswith("loss_ce"))
    total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_more_objects_than_queries_train():
    model = segmenter(num_queries=2).train()
    images, support, valid = inputs()
    losses = model.loss(images, [objects(0, 1, 2, 3, 0), objects(1)], support, valid)
    total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_training_lowers_the_loss():
    model = segmenter().train()
    images, support, valid = inputs()
    targets = [objects(1, 3), objects(0, seed=2)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history = []
    for _ in range(15):
        loss = total(model.loss(images, targets, support, valid))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.8 * history[0], history


def test_targets_that_do_not_fit_are_refused():
    model = segmenter()
    images, *_ = inputs()
    good = objects(1)
    for targets, reason in (
        ([good], "2 images, but targets of 1"),
        ([good, objects(4)], r"image 1 of the batch: label 4 is outside 0\.\.3"),
        ([good, objects(-1)], "label -1"),
        ([good, Target(good.labels, good.masks[:, ::2])], r"masks \(1, 32, 96\)"),
        ([good, Target(torch.tensor([1, 2]), good.masks)], r"labels \(2,\)"),
        ([good, Target(good.labels, good.masks.float())], r"torch\.float32, not bool"),
    ):
        with pytest.raises(InputError, match=reason):
            model.loss(images, targets)


def test_the_auxiliary_loss_needs_labels():
    model = segmenter(prompt_aux=0.1)
    images, support, valid = inputs()
    targets = [objects(1), objects(2)]
    with pytest.raises(InputError, match="support_labels"):
        model.loss(images, targets, support, valid)
    labels = [target.labels for target in targets]
    losses = model.loss(images, targets, support, valid, support_labels=labels)
    assert set(losses) == LOSSES | {"loss_prompt_aux"}


def test_a_vision_transformer_through_the_pyramid():
    arch = {"depth": 2, "embed_dim": 32, "num_heads": 2, "pyramid_dim": 16, "img_size": 64}
    model = segmenter(encoder="vit_tiny_patch16_224", arch=arch)
    images, support, valid = inputs()
    found = model(images, support, valid)
    assert found.masks.shape == (2, 6, 16, 24)
    assert not torch.equal(found.logits, model(images).logits)
    total(model.train().loss(images, [objects(1), objects()], support, valid)).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden": 48}, "multiple of 32"),
        ({"heads": 5}, "heads=5"),
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"points": 0}, "points"),
        ({"oversample": 0.5}, "oversample"),
        ({"importance": 1.5}, "importance"),
        ({"no_object_weight": 0.0}, "no_object_weight"),
        ({"predictor": None, "prompt_aux": 0.1}, "needs a prompt predictor"),
        ({"encoder": "vit_tiny_patch16_224", "arch": {"pyramid_dim": None}}, "strides"),
    ],
)
def test_configurations_that_cannot_be_built(changes, reason):
    with pytest.raises(InputError, match=reason):
        segmenter(**changes)


def test_the_twin_keeps_everything_but_the_prompts():
    twin = CONFIG.single_frame()
    assert not twin.uses_support
    assert CONFIG.uses_support
    assert twin.num_queries == CONFIG.num_queries
