"""The SELSA head against the released implementation, and what must hold for any references."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stpn_core.errors import InputError
from stpn_vod.boxes import BoxCoder
from stpn_vod.matching import Matcher
from stpn_vod.postprocess import Postprocess
from stpn_vod.roi_head import RoIHead
from stpn_vod.sampling import Sampler
from stpn_vod.selsa import References, SelsaAggregator, SelsaHead, join_references

RELEASED = {"shared_fcs.0": "fc1", "shared_fcs.1": "fc2", "fc_cls": "classify", "fc_reg": "regress"}


def _roi(num_classes: int = 30, channels: int = 4, fc_channels: int = 64) -> RoIHead:
    return RoIHead(
        num_classes,
        channels,
        fc_channels,
        coder=BoxCoder(),
        matcher=Matcher(0.5, 0.5, low_quality=None),
        sampler=Sampler(8, 0.25),
        postprocess=Postprocess(),
    )


def _random_head(seed: int = 0) -> tuple[RoIHead, SelsaHead]:
    torch.manual_seed(seed)
    return _roi().eval(), SelsaHead(64).eval()


def _vectors(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def released(golden) -> tuple[RoIHead, SelsaHead, dict[str, Tensor]]:
    """Both parts with the weights, and the tensors, of the released implementation."""
    tensors, _ = golden("vod/e26_selsa_head")
    roi, selsa = _roi(), SelsaHead(64)
    plain, aggregators = {}, {}
    for key, value in tensors.items():
        if not key.startswith("weights."):
            continue
        module, parameter = key.removeprefix("weights.").rsplit(".", 1)
        if module in RELEASED:
            plain[f"{RELEASED[module]}.{parameter}"] = value
        else:
            aggregators[f"aggregators.{module.removeprefix('aggregator.')}.{parameter}"] = value
    roi.load_state_dict(plain)
    selsa.load_state_dict(aggregators)
    return roi.eval(), selsa.eval(), tensors


def _close(got: Tensor, expected: Tensor) -> None:
    assert_close(got, expected, atol=1e-4 * max(1.0, float(expected.abs().max())), rtol=0)


@pytest.mark.parametrize("case", ["a", "b"])
def test_released_aggregator(released, case):
    _, selsa, tensors = released
    aggregator = selsa.aggregators[0]
    with torch.no_grad():
        got = aggregator(tensors[f"in.{case}.ax"], *aggregator.project(tensors[f"in.{case}.ar"]))
    _close(got, tensors[f"out.{case}.aggregate0"])


@pytest.mark.parametrize("case", ["a", "b"])
def test_released_head(released, case):
    roi, selsa, tensors = released
    x, ref = tensors[f"in.{case}.x"], tensors[f"in.{case}.ref"]
    with torch.no_grad():
        references = selsa.refer(roi, roi.fc1(ref.flatten(1)))
        logits, deltas = selsa(roi, roi.fc1(x.flatten(1)), references)
        plain, _ = roi(x)
    _close(logits, tensors[f"out.{case}.cls_score"])
    _close(deltas.flatten(1), tensors[f"out.{case}.bbox_pred"])
    wrong = (plain - tensors[f"out.{case}.cls_score"]).abs().max()
    assert wrong > 0.1, "control: without aggregation the numbers are others"


def test_parameters_of_the_published_size():
    with torch.device("meta"):
        head = SelsaHead()
    assert sum(p.numel() for p in head.parameters()) == 8_396_800


def test_references_of_frames_join():
    roi, selsa = _random_head()
    first, both = _vectors(5), _vectors(9, seed=2)
    with torch.no_grad():
        whole = selsa.refer(roi, both)
        parts = join_references([selsa.refer(roi, both[:4]), selsa.refer(roi, both[4:])])
        assert len(whole) == len(parts) == 9
        for a, b in zip(selsa(roi, first, whole), selsa(roi, first, parts), strict=True):
            assert_close(a, b, atol=1e-5, rtol=0)


def test_order_of_references_does_not_matter():
    roi, selsa = _random_head()
    first, others = _vectors(5), _vectors(9, seed=2)
    with torch.no_grad():
        got, _ = selsa(roi, first, selsa.refer(roi, others.flip(0)))
        expected, _ = selsa(roi, first, selsa.refer(roi, others))
        different, _ = selsa(roi, first, selsa.refer(roi, others * 2))
    assert_close(got, expected, atol=1e-5, rtol=0)
    assert (different - expected).abs().max() > 1e-3, "control: the references do matter"


@pytest.mark.parametrize(("regions", "count"), [(5, 0), (0, 5), (0, 0)])
def test_no_region_or_no_reference(regions, count):
    roi, selsa = _random_head()
    first = _vectors(regions).requires_grad_()
    logits, deltas = selsa(roi, first, selsa.refer(roi, _vectors(count, seed=2)))
    assert logits.shape == (regions, 31)
    assert deltas.shape == (regions, 30, 4)
    assert logits.isfinite().all()
    (logits.sum() + deltas.sum()).backward()
    for name, parameter in selsa.named_parameters():
        assert parameter.grad is not None, f"{name}: data-parallel training waits for it"
        assert parameter.grad.isfinite().all()


def test_gradient_reaches_regions_references_and_both_aggregators():
    roi, selsa = _random_head()
    first, others = _vectors(5).requires_grad_(), _vectors(9, seed=2).requires_grad_()
    logits, deltas = selsa(roi, first, selsa.refer(roi, others))
    (logits.square().sum() + deltas.square().sum()).backward()
    assert first.grad is not None
    assert others.grad is not None
    assert others.grad.abs().max() > 0
    # a key's bias moves all scores of a region alike, so its gradient is zero but for rounding
    names = [name for name, p in selsa.named_parameters() if not p.grad.abs().max() > 1e-7]
    assert all(name.endswith("ref_fc_embed.bias") for name in names), names


def test_references_are_values():
    roi, selsa = _random_head()
    with torch.no_grad():
        held = selsa.refer(roi, _vectors(4))
    before = References(tuple(k.clone() for k in held.keys), tuple(v.clone() for v in held.values))
    with torch.no_grad():
        selsa(roi, _vectors(3), join_references([held, selsa.refer(roi, _vectors(2))]))
    for a, b in zip(held.keys + held.values, before.keys + before.values, strict=True):
        assert torch.equal(a, b)


def test_heads_must_divide_the_channels():
    with pytest.raises(InputError, match="multiple of 16"):
        SelsaAggregator(24)
