"""The whole detector: what must hold for any batch, support and precision."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stpn_core import Features
from stpn_core.errors import InputError
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.detections import Detections
from stpn_vod.detector import FasterRCNN

CONFIG = DetectorConfig(
    encoder="swin",
    arch={"embed_dim": 16, "depths": (2, 1, 1, 1), "num_heads": (2, 4, 8, 16), "mlp_ratio": 2.0},
    drop_path=0.0,
    num_classes=4,
    fpn_channels=16,
    fc_channels=32,
    sampling="first",
)
SIZES = torch.tensor([[64, 90], [64, 90]])


def _detector(**changes: object) -> FasterRCNN:
    torch.manual_seed(0)
    model = build_detector(dataclasses.replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]
    # as initialised, logits are nearly equal: every order would be a matter of rounding
    with torch.no_grad():
        for layer in (model.rpn.objectness, model.rpn.deltas, model.roi.classify):
            layer.weight.normal_(std=0.5)
        model.roi.regress.weight.normal_(std=0.05)
    return model


def _inputs(batch: int = 2, support: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, 64, 96, generator=generator)
    images[..., 90:] = 0
    frames = torch.randn(batch, support, 3, 64, 96, generator=generator)
    return images, frames, torch.ones(batch, support, dtype=torch.bool)


def _objects() -> tuple[list[Tensor], list[Tensor]]:
    boxes = [
        torch.tensor([[5.0, 5.0, 40.0, 50.0], [30.0, 10.0, 80.0, 60.0]]),
        torch.tensor([[0.0, 0.0, 90.0, 64.0]]),
    ]
    return boxes, [torch.tensor([1, 3]), torch.tensor([0])]


def _total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def _assert_same(a: Detections, b: Detections, atol: float) -> None:
    assert torch.equal(a.labels, b.labels)
    assert_close(a.boxes, b.boxes, atol=atol, rtol=0)
    assert_close(a.scores, b.scores, atol=atol, rtol=0)


def test_a_batch_equals_its_images_alone():
    model = _detector()
    images, support, valid = _inputs()
    together = model(images, SIZES, support, valid)
    assert all(len(found) > 5 for found in together), "nothing to compare"
    for row in range(2):
        one = slice(row, row + 1)
        alone = model(images[one], SIZES[one], support[one], valid[one])[0]
        _assert_same(together[row], alone, atol=1e-3)
    assert not torch.equal(together[0].boxes, together[1].boxes), "control: the images do differ"


def test_other_rows_may_be_noise_or_nan():
    model = _detector()
    images, support, valid = _inputs()
    expected = model(images, SIZES, support, valid)[0]
    for filler in (1e4, torch.nan):
        images[1], support[1] = filler, filler
        found = model(images, SIZES, support, valid)[0]
        assert torch.equal(found.boxes, expected.boxes)
        assert torch.equal(found.scores, expected.scores)
    images[0] = torch.nan
    assert len(model(images, SIZES, support, valid)[0]) == 0, "control: NaN does reach a result"


def test_without_prompts_it_is_the_plain_detector_bit_for_bit():
    model = _detector()
    plain = _detector(predictor=None)
    missing = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing.missing_keys
    images, support, valid = _inputs()
    expected = plain(images, SIZES)
    ways = {
        "no support": model(images, SIZES),
        "no valid support": model(images, SIZES, support, torch.zeros_like(valid)),
        "support of zero frames": model(images, SIZES, support[:, :0], valid[:, :0]),
    }
    for found in ways.values():
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a.boxes, b.boxes)
            assert torch.equal(a.scores, b.scores)
            assert torch.equal(a.labels, b.labels)
    prompted = model(images, SIZES, support, valid)
    assert not torch.equal(prompted[0].scores, expected[0].scores), "control: prompts do act"


def test_support_changes_only_its_own_row():
    model = _detector()
    images, support, valid = _inputs()
    before = model(images, SIZES, support, valid)
    support[1] = support[1].flip(-1) * 3
    after = model(images, SIZES, support, valid)
    assert torch.equal(before[0].scores, after[0].scores)
    assert not torch.equal(before[1].scores, after[1].scores)


def test_detect_continues_from_encoded_images():
    model = _detector()
    images, support, valid = _inputs()
    with torch.no_grad():
        features = model.stpn(images, support, valid)
    for a, b in zip(
        model.detect(features, SIZES), model(images, SIZES, support, valid), strict=True
    ):
        assert torch.equal(a.boxes, b.boxes)


def test_detections_are_inside_sorted_and_limited():
    model = _detector(max_detections=7)
    images, support, valid = _inputs()
    for found in model(images, SIZES, support, valid):
        assert len(found) == 7
        assert found.boxes.dtype == torch.float32
        assert (found.boxes >= 0).all()
        assert (found.boxes[:, 0::2] <= 90).all()
        assert (found.boxes[:, 1::2] <= 64).all()
        assert (found.scores.diff() <= 0).all()
        assert found.labels.max() < 4, "the background is never reported"


def test_detection_loss_reaches_the_prompt_predictor():
    model = _detector().train()
    images, support, valid = _inputs()
    losses = model.loss(images, SIZES, *_objects(), support, valid)
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"}
    _total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.stpn.predictor is not None
    assert any(p.grad.abs().max() > 1e-6 for p in model.stpn.predictor.parameters())


def test_loss_is_reproducible_with_a_generator():
    model = _detector(sampling="random", rpn_samples=8, roi_samples=8).train()
    images, support, valid = _inputs()

    def loss(seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        losses = model.loss(images, SIZES, *_objects(), support, valid, generator=generator)
        return _total(losses).detach()

    assert torch.equal(loss(1), loss(1))
    assert not torch.equal(loss(1), loss(2))


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = build_detector(CONFIG).train()
    images, support, valid = _inputs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    history = []
    for _ in range(20):
        loss = _total(model.loss(images, SIZES, *_objects(), support, valid))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.5 * history[0], history


def test_images_without_objects_train():
    model = _detector().train()
    images, support, valid = _inputs()
    nothing, no_label = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    losses = model.loss(images, SIZES, [nothing] * 2, [no_label] * 2, support, valid)
    assert losses["loss_bbox"].item() == 0
    assert losses["loss_rpn_bbox"].item() == 0
    _total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_zero_proposals_train_and_detect():
    model = _detector(train_proposals=0, test_proposals=0).train()
    images, support, valid = _inputs()
    assert [len(found) for found in model(images, SIZES, support, valid)] == [0, 0]
    nothing, no_label = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    losses = model.loss(images, SIZES, [nothing] * 2, [no_label] * 2, support, valid)
    assert losses["loss_cls"].item() == 0
    _total(losses).backward()
    assert model.roi.fc1.weight.grad is not None, "the head stays connected, as data parallel needs"


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (33, 2)])
def test_tiny_images(size):
    model = _detector()
    images = torch.randn(1, 3, *size)
    found = model(images, torch.tensor([size]), torch.randn(1, 2, 3, *size))[0]
    assert found.boxes.isfinite().all()
    box = [torch.tensor([[0.0, 0.0, size[1], size[0]]])]
    losses = model.train().loss(images, torch.tensor([size]), box, [torch.tensor([1])])
    assert _total(losses).isfinite()


def test_bad_annotations_stop_before_the_network():
    model = _detector().train()
    images, support, valid = _inputs()
    images[:] = torch.nan
    boxes, labels = _objects()
    boxes[1][0, 2] = torch.nan
    with pytest.raises(InputError, match=r"image 1 of the batch.*is not finite"):
        model.loss(images, SIZES, boxes, labels, support, valid)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_stays_close_and_finite(dtype):
    model = _detector()
    images, support, valid = _inputs()
    expected = model.loss(images, SIZES, *_objects(), support, valid)
    with torch.autocast("cpu", dtype):
        losses = model.loss(images, SIZES, *_objects(), support, valid)
        found = model(images, SIZES, support, valid)
    for name, value in losses.items():
        assert value.dtype == torch.float32
        assert_close(value, expected[name], atol=0.05, rtol=0.2)
    for image in found:
        assert image.boxes.dtype == torch.float32
        assert image.boxes.isfinite().all()
    _total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_auxiliary_loss_only_in_training_and_needs_labels():
    model = _detector(prompt_aux=0.5).train()
    images, support, valid = _inputs()
    valid[1] = False
    labels = [torch.tensor([1, 1]), torch.tensor([2])]
    losses = model.loss(images, SIZES, *_objects(), support, valid, support_labels=labels)
    losses["loss_prompt_aux"].backward()
    assert model.stpn.predictor is not None
    assert any(p.grad is not None and p.grad.any() for p in model.stpn.predictor.parameters())
    assert all(p.grad is None for p in model.rpn.parameters())
    with pytest.raises(InputError, match="needs support frames and support_labels"):
        model.loss(images, SIZES, *_objects(), support, valid)
    with_head, without = model.eval(), _detector()
    without.load_state_dict(with_head.state_dict(), strict=False)
    for a, b in zip(
        with_head(images, SIZES, support, valid),
        without(images, SIZES, support, valid),
        strict=True,
    ):
        assert torch.equal(a.scores, b.scores)


def test_auxiliary_head_leaves_the_other_losses_as_they_are():
    images, support, valid = _inputs()
    valid[1] = False
    with_head, without = _detector(prompt_aux=0.5), _detector()
    without.load_state_dict(with_head.state_dict(), strict=False)
    labels = [torch.tensor([1]), torch.tensor([2])]
    ours = with_head.loss(images, SIZES, *_objects(), support, valid, support_labels=labels)
    for name, value in without.loss(images, SIZES, *_objects(), support, valid).items():
        assert torch.equal(ours[name], value)


def test_the_head_compiles_to_one_graph():
    # stages with a shape that depends on the data are left out: selection, sampling and suppression
    torch.compiler.reset()
    model = _detector()
    images, _, _ = _inputs()
    with torch.no_grad():
        features = model.stpn(images)
        expected = model.rpn(model.fpn(features), SIZES)

        def dense(maps: tuple[Tensor, ...], sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            predictions = model.rpn(model.fpn(Features(maps, features.strides)), sizes)
            return predictions.logits, predictions.deltas, predictions.on_image

        compiled = torch.compile(dense, fullgraph=True, backend="aot_eager")
        logits, deltas, on_image = compiled(features.maps, SIZES)
    assert_close(logits, expected.logits)
    assert_close(deltas, expected.deltas)
    assert torch.equal(on_image, expected.on_image)
