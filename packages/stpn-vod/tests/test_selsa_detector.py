"""The detector with SELSA's second stage: what must hold for any batch, support and precision."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from stpn_core import STPN
from stpn_core.errors import InputError
from stpn_core.testing import TaskConformance
from stpn_vod.build import build_detector
from stpn_vod.build_config import DetectorConfig
from stpn_vod.roi_align import pool_regions
from stpn_vod.selsa import join_references
from stpn_vod.selsa_detector import SelsaDetector

CONFIG = DetectorConfig(
    encoder="swin",
    arch={"embed_dim": 16, "depths": (2, 1, 1, 1), "num_heads": (2, 4, 8, 16), "mlp_ratio": 2.0},
    drop_path=0.0,
    head="selsa",
    support_grad=True,
    num_classes=4,
    fpn_channels=16,
    fc_channels=32,
    sampling="first",
    train_proposals=40,
    test_proposals=40,
)
SIZES = torch.tensor([[64, 90], [64, 90]])
BOTH = pytest.mark.parametrize("predictor", [None, "attention"], ids=["selsa", "stpn_selsa"])


def _detector(**changes: object) -> SelsaDetector:
    torch.manual_seed(0)
    model = build_detector(dataclasses.replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]
    assert isinstance(model, SelsaDetector)
    # as initialised, logits are nearly equal: every order would be a matter of rounding
    with torch.no_grad():
        for layer in (model.rpn.objectness, model.rpn.deltas, model.roi.classify):
            layer.weight.normal_(std=0.5)
        model.roi.regress.weight.normal_(std=0.05)
        for aggregator in model.selsa.aggregators:
            for part in (aggregator.fc_embed, aggregator.ref_fc_embed, aggregator.ref_fc):
                part.weight.mul_(3)  # references that are told apart
    return model


def _inputs(batch: int = 2, support: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, 64, 96, generator=generator)
    images[..., 90:] = 0
    frames = torch.randn(batch, support, 3, 64, 96, generator=generator)
    frames[..., 90:] = 0
    return images, frames, torch.ones(batch, support, dtype=torch.bool)


def _objects() -> tuple[list[Tensor], list[Tensor]]:
    boxes = [
        torch.tensor([[5.0, 5.0, 40.0, 50.0], [30.0, 10.0, 80.0, 60.0]]),
        torch.tensor([[0.0, 0.0, 90.0, 64.0]]),
    ]
    return boxes, [torch.tensor([1, 3]), torch.tensor([0])]


def _total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def _same(a: Sequence, b: Sequence) -> bool:
    return all(
        torch.equal(x.boxes, y.boxes)
        and torch.equal(x.scores, y.scores)
        and torch.equal(x.labels, y.labels)
        for x, y in zip(a, b, strict=True)
    )


class _Promises(TaskConformance):
    """What every task on prompts promises, asked of this one."""

    predictor: str | None

    def build(self) -> nn.Module:
        return _detector(predictor=self.predictor, score_threshold=0.05)

    def stpn(self, model: nn.Module) -> STPN:
        return model.stpn  # type: ignore[return-value]

    def outputs(
        self, model: nn.Module, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> Sequence[Sequence[Tensor]]:
        sizes = torch.tensor([images.shape[-2:]] * len(images))
        found = model(images, sizes, support, valid)
        assert all(len(row) for row in found), "nothing to compare"
        return [(row.boxes, row.scores, row.labels) for row in found]

    def loss(
        self, model: nn.Module, images: Tensor, support: Tensor | None, valid: Tensor | None
    ) -> Tensor:
        sizes = torch.tensor([images.shape[-2:]] * len(images))
        boxes = [torch.tensor([[5.0, 5.0, 40.0, 50.0]])] * len(images)
        labels = [torch.tensor([1])] * len(images)
        return _total(model.loss(images, sizes, boxes, labels, support, valid))  # type: ignore[operator]


class TestSelsaWithPrompts(_Promises):
    predictor = "attention"


class TestSelsaAlone(_Promises):
    predictor = None

    def test_the_loss_reaches_every_parameter(self) -> None:
        model, (images, support, valid) = self.model(), self.batch()
        self.loss(model.train(), images, support, valid).backward()
        assert [name for name, p in model.named_parameters() if p.grad is None] == []


@BOTH
def test_references_come_from_the_own_row(predictor):
    """A change in the support of one row, to noise or NaN, leaves the other row as it is."""
    model = _detector(predictor=predictor)
    images, support, valid = _inputs()
    before = model(images, SIZES, support, valid)
    for filler in (support[1].flip(-1) * 3, torch.full_like(support[1], torch.nan)):
        changed = torch.stack([support[0], filler])
        after = model(images, SIZES, changed, valid)
        assert _same(before[:1], after[:1])
        assert not _same(before[1:], after[1:]), "control: the row's own support matters"


def test_support_has_the_size_of_its_own_image():
    """References beyond the border of an image padded to its batch would be regions of nothing."""
    model = _detector(predictor=None)
    images, support, valid = _inputs()
    sizes = torch.tensor([[64, 90], [40, 60]])
    for tensor in (images[1], support[1]):
        tensor[..., 40:, :] = 0
        tensor[..., 60:] = 0
    together = model(images, sizes, support, valid)
    for row in range(2):
        one = slice(row, row + 1)
        (alone,) = model(images[one], sizes[one], support[one], valid[one])
        assert_close(together[row].boxes, alone.boxes, atol=1e-3, rtol=0)
        assert_close(together[row].scores, alone.scores, atol=1e-5, rtol=0)


@BOTH
def test_each_valid_frame_counts_and_no_other(predictor):
    model = _detector(predictor=predictor)
    images, support, valid = _inputs()
    valid[:, 1] = False
    expected = model(images, SIZES, support, valid)
    support[:, 1] = torch.nan
    assert _same(model(images, SIZES, support, valid), expected)
    without = model(images, SIZES, support[:, [0, 2]], valid[:, [0, 2]])
    for a, b in zip(without, expected, strict=True):
        assert_close(a.scores, b.scores, atol=1e-4, rtol=0)
    valid[:, 0] = False
    assert not _same(model(images, SIZES, support, valid), expected), "control: frame 0 counted"


def test_the_frame_itself_is_a_reference_too():
    """At test, as in the released implementation, said plainly here."""
    model = _detector(predictor=None)
    images, support, _ = _inputs(batch=1, support=2)
    size = SIZES[:1]
    with torch.no_grad():
        _, others = model.survey(support[0], size.expand(2, 2))
        features = model.stpn.encoder(images)
        pyramid = model.fpn(features)
        (proposals,) = model.rpn.propose(model.rpn(pyramid, size), size, 40)
        first = model.roi.fc1(pool_regions(pyramid, [proposals.boxes]).flatten(1))
        own = model.selsa.refer(model.roi, first)
        expected, without = (
            model.roi.postprocess(
                model.roi.coder,
                proposals.boxes,
                *model.selsa(model.roi, first, join_references(looked_at)),
                size[0],
            )
            for looked_at in ([*others, own], others)
        )
    for found in (model(images, size, support), model.detect(features, size, [others])):
        assert _same(found, [expected])
        assert not _same(found, [without]), "control: it does make a difference"


def test_a_frame_without_support_looks_at_itself():
    """The current frame is the last reference, as in the released implementation; here it is the
    only one, so a copy of it as support adds nothing but the same regions once more."""
    model = _detector(predictor=None)
    images, support, _ = _inputs()
    alone = model(images, SIZES)
    doubled = model(images, SIZES, images[:, None])
    for a, b in zip(alone, doubled, strict=True):
        assert_close(a.boxes, b.boxes, atol=1e-3, rtol=0)
        assert_close(a.scores, b.scores, atol=1e-5, rtol=0)
    assert not _same(alone, model(images, SIZES, support)), "control: other frames do act"


@pytest.mark.parametrize(
    ("predictor", "parameters"),
    [(None, 44_895_072 + 8_396_800), ("attention", 44_895_072 + 8_396_800 + 111_552)],
)
def test_parameters_of_the_published_size(predictor, parameters):
    with torch.device("meta"):
        model = build_detector(DetectorConfig(predictor=predictor, head="selsa"))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_plain_detector_has_the_same_names():
    """So that it can be a starting point, and a released checkpoint converts part by part."""
    plain = build_detector(dataclasses.replace(CONFIG, head="faster_rcnn")).state_dict()
    own = _detector().state_dict()
    assert plain.keys() <= own.keys()
    assert all(key.startswith("selsa.aggregators.") for key in own.keys() - plain.keys())


def test_an_unknown_head_is_refused():
    with pytest.raises(InputError, match="unknown head 'mega'; choose faster_rcnn or selsa"):
        build_detector(dataclasses.replace(CONFIG, head="mega"))  # type: ignore[arg-type]


def test_the_tokens_of_prompts_come_from_the_same_pass():
    """The maps of the un-prompted pass hold the support tokens; an encoder whose maps do not is
    asked for them."""
    model = _detector()
    _, support, _ = _inputs()
    with torch.no_grad():
        tokens, references = model.survey(support[0], SIZES[:1].expand(3, 2))
        assert torch.equal(tokens, model.stpn.embed_support(support[:1])[0])
    assert len(references) == 3
    assert all(0 < len(r) <= 40 for r in references)
    passes: list[int] = []
    embed = model.stpn.encoder.body.patch_embed
    with embed.register_forward_hook(lambda *_: passes.append(1)):
        model.survey(support[0], SIZES[:1].expand(3, 2))
    assert len(passes) == 1


@pytest.mark.parametrize("training", [False, True])
def test_a_vision_transformer_works_too(training):
    config = dataclasses.replace(
        CONFIG,
        encoder="vit_tiny_patch16_224",
        arch={"img_size": 64, "embed_dim": 32, "depth": 2, "num_heads": 2, "pyramid_dim": 16},
        predictor_options={"num_heads": 2},
    )
    model = build_detector(config).train(training)
    images, support, valid = _inputs()
    losses = model.loss(images, SIZES, *_objects(), support, valid)
    _total(losses).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = build_detector(CONFIG).train()
    images, support, valid = _inputs()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history = []
    for _ in range(10):
        loss = _total(model.loss(images, SIZES, *_objects(), support, valid))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.7 * history[0], history


@pytest.mark.parametrize("supported", [True, False], ids=["both rows", "one row"])
def test_loss_is_that_of_the_key_frame_with_references_of_its_own_row(supported):
    """Rows of a batch give the losses that they give alone, also next to one without support."""
    model = _detector(predictor=None, roi_samples=24).train()
    images, support, valid = _inputs()
    valid[1] = supported
    boxes, labels = _objects()
    together = model.loss(images, SIZES, boxes, labels, support, valid)
    alone = [
        model.loss(images[r], SIZES[r], boxes[r], labels[r], support[r], valid[r])
        for r in (slice(0, 1), slice(1, 2))
    ]
    for name in ("loss_cls", "loss_bbox"):
        # 24 regions are sampled in both rows, so the batch's mean is the mean of the rows
        assert_close(together[name], (alone[0][name] + alone[1][name]) / 2, atol=1e-4, rtol=1e-4)
    swapped = model.loss(images, SIZES, boxes, labels, support.flip(0), valid)
    assert (swapped["loss_cls"] - together["loss_cls"]).abs() > 1e-3, "control: references matter"
    assert torch.equal(swapped["loss_rpn_cls"], together["loss_rpn_cls"])


def test_references_are_proposed_as_at_test(monkeypatch):
    """The key frame's regions are limited as for training, those looked at as for testing."""
    model = _detector(train_proposals=7, test_proposals=11).train()
    propose, limits = model.rpn.propose, {}

    def noting(dense, sizes, limit):
        limits[len(sizes)] = limit
        return propose(dense, sizes, limit)

    monkeypatch.setattr(model.rpn, "propose", noting)
    images, support, valid = _inputs(batch=2, support=3)
    model.loss(images, SIZES, *_objects(), support, valid)
    assert limits == {2 * 3: 11, 2: 7}


@BOTH
def test_the_gradient_through_the_support_is_a_choice(predictor):
    images, support, valid = _inputs()
    reached = {}
    for flows in (True, False):
        model = _detector(predictor=predictor, support_grad=flows).train()
        frames = support.clone().requires_grad_()
        _total(model.loss(images, SIZES, *_objects(), frames, valid)).backward()
        reached[flows] = frames.grad is not None and bool(frames.grad.any())
        gradients = {name: p.grad for name, p in model.named_parameters()}
        assert all(g is not None and g.isfinite().all() for g in gradients.values())
        assert gradients["selsa.aggregators.1.ref_fc.weight"].any()
    assert reached == {True: True, False: False}


def test_rows_without_support_train_on_their_own_regions():
    model = _detector().train()
    images, support, valid = _inputs()
    valid[1] = False
    support[1] = torch.nan
    losses = model.loss(images, SIZES, *_objects(), support, valid)
    _total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("proposals", [0, 40])
def test_images_without_objects_train(proposals):
    model = _detector(train_proposals=proposals, test_proposals=proposals).train()
    images, support, valid = _inputs()
    nothing, no_label = torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)
    losses = model.loss(images, SIZES, [nothing] * 2, [no_label] * 2, support, valid)
    assert losses["loss_bbox"].item() == 0
    _total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    if not proposals:
        assert [len(found) for found in model.eval()(images, SIZES, support, valid)] == [0, 0]


@pytest.mark.parametrize("size", [(1, 1), (33, 2)])
def test_tiny_images(size):
    model = _detector()
    found = model(torch.randn(1, 3, *size), torch.tensor([size]), torch.randn(1, 2, 3, *size))
    assert found[0].boxes.isfinite().all()


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
        assert_close(value, expected[name], atol=0.05, rtol=0.3)
    assert all(image.boxes.isfinite().all() for image in found)
    _total(losses).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_auxiliary_loss():
    model = _detector(prompt_aux=0.5).train()
    images, support, valid = _inputs()
    valid[1] = False
    labels = [torch.tensor([1, 1]), torch.tensor([2])]
    losses = model.loss(images, SIZES, *_objects(), support, valid, support_labels=labels)
    plain = _detector().train()
    plain.load_state_dict(model.state_dict(), strict=False)
    for name, value in plain.loss(images, SIZES, *_objects(), support, valid).items():
        assert torch.equal(losses[name], value)
    losses["loss_prompt_aux"].backward()
    assert any(p.grad is not None and p.grad.any() for p in model.stpn.predictor.parameters())
    with pytest.raises(InputError, match="needs support frames and support_labels"):
        model.loss(images, SIZES, *_objects(), support, valid)


def test_bad_input_is_refused():
    model = _detector()
    images, support, valid = _inputs()
    with pytest.raises(InputError, match=r"must be \(B=2, K, 3, H, W\), got \(1, 3, 3, 64, 96\)"):
        model(images, SIZES, support[:1], valid)
    with pytest.raises(InputError, match=r"bool of shape \(2, 3\)"):
        model(images, SIZES, support, valid.float())
    boxes, labels = _objects()
    boxes[1][0, 2] = torch.nan
    with pytest.raises(InputError, match=r"image 1 of the batch.*is not finite"):
        model.loss(images, SIZES, boxes, labels, support, valid)
