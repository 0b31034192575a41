"""Deformable attention against tensors computed by the released implementation, in both forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from stpn_vis.deformable_attention import (
    DeformableAttention,
    sample_by_embedding_bag,
    sample_by_grid,
    sampler,
)

FORMS = pytest.mark.parametrize("sample", [sample_by_grid, sample_by_embedding_bag])
SHAPES = [(2, 3), (4, 6), (1, 5)]


def _case(batch: int = 2, queries: int = 3, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = sum(h * w for h, w in SHAPES)

    def rand(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=dtype)

    value = rand(batch, tokens, 2, 4) - 0.5
    locations = rand(batch, queries, 2, 3, 4, 2) * 1.6 - 0.3  # some outside
    return [value, locations, rand(batch, queries, 2, 3, 4)]


@FORMS
@pytest.mark.parametrize("bits", [32, 64])
def test_golden_samples_and_gradients(golden, sample, bits):
    tensors, about = golden("vis/A_msda_core_0")
    dtype = torch.float32 if bits == 32 else torch.float64
    names = ("value", "locations", "attention")
    given = [tensors[f"in.{n}"].to(dtype).requires_grad_() for n in names]
    output = sample(given[0], about["level_shapes"], *given[1:])
    tolerance = about["tolerance"]
    assert_close(output, tensors[f"out.output{bits}"], atol=tolerance[f"fp{bits}"], rtol=0)
    output.backward(tensors["in.grad_out"].to(dtype))
    bounds = tolerance["fp32_grad"] if bits == 32 else {"atol": 1e-10, "rtol": 0}
    for name, tensor in zip(names, given, strict=True):
        assert_close(tensor.grad, tensors[f"out.grad_{name}{bits}"], **bounds)


@pytest.mark.parametrize("sampling", ["grid_sample", "embedding_bag"])
@pytest.mark.parametrize("bits", [32, 64])
def test_golden_module(golden, sampling, bits):
    tensors, about = golden("vis/A_msda_module_0")
    config = about["config"]
    dtype = torch.float32 if bits == 32 else torch.float64
    module = DeformableAttention(
        config["d_model"],
        levels=config["levels"],
        heads=config["heads"],
        points=config["points"],
        sampling=sampling,
    ).to(dtype)
    module.load_state_dict(
        {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights.")}
    )
    query, reference, tokens = (
        tensors[f"in.{name}"].to(dtype) for name in ("query", "reference_points", "input")
    )
    shapes = about["level_shapes"]
    output = module(query, reference, tokens, shapes)
    assert_close(output, tensors[f"out.output{bits}"], atol=about["tolerance"][f"fp{bits}"], rtol=0)
    padding = torch.zeros(tokens.shape[:2], dtype=torch.bool)
    padding[:, ::3] = True
    broken = tokens.masked_fill(padding[..., None], 1e3)
    assert torch.equal(
        module(query, reference, tokens, shapes, padding),
        module(query, reference, broken, shapes, padding),
    )


@FORMS
def test_gradients_are_those_of_the_function(sample):
    value, locations, weights = (t.requires_grad_() for t in _case(batch=1, queries=2))
    assert torch.autograd.gradcheck(
        lambda v, p, w: sample(v, SHAPES, p, w), (value, locations, weights)
    )


@FORMS
def test_it_is_the_bilinear_sum(sample):
    """Against a loop that knows nothing of grids: one row, one query, one point."""
    value, _, _ = _case(batch=1)
    x, y = 0.41, 0.73
    locations = torch.tensor([x, y], dtype=value.dtype).expand(1, 1, 2, 3, 1, 2)
    weights = torch.tensor([0.0, 1.0, 0.0], dtype=value.dtype)[:, None].expand(1, 1, 2, 3, 1)
    h, w = SHAPES[1]
    expected = torch.zeros(2, 4, dtype=value.dtype)
    for row in range(h):
        for column in range(w):
            near = max(0, 1 - abs(x * w - 0.5 - column)) * max(0, 1 - abs(y * h - 0.5 - row))
            expected += near * value[0, 6 + row * w + column]
    assert_close(sample(value, SHAPES, locations, weights)[0, 0], expected.flatten())


@FORMS
def test_far_away_points_are_zero_and_nan_stays_in_its_row(sample):
    value, locations, weights = _case(dtype=torch.float32)
    far = torch.tensor([1e30, -1e30, 3.0, -2.0])
    found = sample(value, SHAPES, far[:, None].expand(locations.shape), weights)
    assert not found.any()
    expected = sample(value, SHAPES, locations, weights)
    locations[1], weights[1] = torch.nan, torch.nan
    assert torch.equal(sample(value, SHAPES, locations, weights)[0], expected[0])


def test_the_first_points_lie_around_the_query():
    module = DeformableAttention(32, levels=2, heads=4, points=3)
    offsets = module.sampling_offsets(torch.randn(5, 32)).view(5, 4, 2, 3, 2)
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    for point in range(3):
        assert_close(
            offsets[:, :, 0, point], ((point + 1) * directions).expand(5, -1, -1), atol=1e-6, rtol=0
        )


def test_auto_depends_on_the_device():
    assert sampler("auto", torch.device("cpu")) is sample_by_embedding_bag
    assert sampler("auto", torch.device("cuda")) is sample_by_grid
    assert sampler("grid_sample", torch.device("cpu")) is sample_by_grid
    assert sampler("embedding_bag", torch.device("cuda")) is sample_by_embedding_bag
