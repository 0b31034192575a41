"""Prompt predictors: the released ones against their implementation, the paper's against its text."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from stpn_core import create_predictor
from stpn_core.errors import InputError
from stpn_core.predictors import PromptPredictor


def parameters(predictor: PromptPredictor) -> int:
    return sum(p.numel() for p in predictor.parameters())


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("b1_att_released", "attention"),
        ("b2_avg_tiny", "average"),
        ("b3_att_tiny", "attention"),
    ],
)
def test_equals_the_released_predictor(golden: Any, file: str, name: str) -> None:
    tensors, info = golden(f"vod/{file}")
    config = info["config"]
    predictor = create_predictor(
        name,
        support_dim=config["in_channels"],
        prompt_dims=config["prompt_dims"],
        num_prompts=config["num_prompts"],
    )
    prefix = "weights."
    predictor.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )
    cases = [k.split(".")[1] for k in tensors if k.endswith(".support")]
    assert cases
    for case in cases:
        support = tensors[f"in.{case}.support"].permute(0, 2, 3, 1)[None]
        expected = tensors[f"out.{case}.prompts"]
        with torch.no_grad():
            (actual,) = predictor(support)
        assert (actual - expected).abs().max() <= 1e-5 * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize(
    ("name", "prompts", "expected"),
    [
        ("attention", 5, 111_552),
        ("attention", 7, 111_744),
        ("average", 5, 73_824),
        ("static", 5, 480),
    ],
)
def test_parameter_counts_for_swin_tiny(name: str, prompts: int, expected: int) -> None:
    predictor = create_predictor(name, support_dim=768, prompt_dims=96, num_prompts=prompts)
    assert parameters(predictor) == expected


def test_mixer_has_the_size_the_paper_gives() -> None:
    """44.96 M with it and 44.90 M without, both rounded."""
    count = parameters(create_predictor("mixer", support_dim=768, prompt_dims=96))
    assert 0.05e6 < count < 0.07e6


def test_transformer_is_equations_2_to_4() -> None:
    torch.manual_seed(0)
    predictor = create_predictor("transformer", support_dim=12, prompt_dims=8, num_heads=2).double()
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter)
    support = torch.randn(1, 3, 2, 2, 12, dtype=torch.float64)
    p = dict(predictor.named_parameters())

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (8,), p[f"{name}.weight"], p[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    keys = norm(linear(support[0].reshape(-1, 12), "reduction"), "token_norm")
    queries = norm(p["query"], "query_norm")
    q, k, v = (
        linear(x, f"{name}_proj")
        for x, name in ((queries, "query"), (keys, "key"), (keys, "value"))
    )
    heads = [(q[:, s] @ k[:, s].T / 2).softmax(-1) @ v[:, s] for s in (slice(0, 4), slice(4, 8))]
    gathered = linear(torch.cat(heads, 1), "out_proj") + p["query"]
    normed = norm(gathered, "ffn_norm")
    expected = linear(F.gelu(linear(normed, "ffn.0")), "ffn.2") + normed
    torch.testing.assert_close(predictor(support)[0], expected)


def test_mixer_is_equations_5_to_7() -> None:
    torch.manual_seed(0)
    predictor = create_predictor("mixer", support_dim=6, prompt_dims=4, num_prompts=3, grid=2)
    predictor.double()
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter)
    p = dict(predictor.named_parameters())

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (6,), p[f"{name}.weight"], p[f"{name}.bias"])

    def ffn(x: Tensor, name: str) -> Tensor:
        hidden = F.gelu(F.linear(x, p[f"{name}.0.weight"], p[f"{name}.0.bias"]))
        return F.linear(hidden, p[f"{name}.2.weight"], p[f"{name}.2.bias"])

    support = torch.randn(1, 5, 4, 4, 6, dtype=torch.float64)
    mean = support[0].mean(0)
    cells = [mean[i : i + 2, j : j + 2].mean((0, 1)) for i in (0, 2) for j in (0, 2)]
    mixed = ffn(norm(torch.stack(cells), "token_norm").T, "token_ffn").T
    expected = ffn(norm(mixed, "channel_norm"), "channel_ffn")
    torch.testing.assert_close(predictor(support)[0], expected)


def test_deep_is_one_linear_per_block() -> None:
    dims = (8, 8, 16)
    predictor = create_predictor("attention", support_dim=12, prompt_dims=dims, num_heads=2)
    support = torch.randn(2, 3, 2, 2, 12)
    prompts = predictor(support)
    shared = predictor.shared(support)
    for i, (head, prompt) in enumerate(zip(predictor.heads, prompts, strict=True)):
        assert torch.equal(prompt, head(shared))
        assert prompt.shape == (2, 5, dims[i])
    # the same width for one block is still deep
    assert isinstance(
        create_predictor("static", support_dim=4, prompt_dims=(8,))(support[..., :4]), list
    )


def test_average_repeats_its_ranking_on_a_tiny_grid() -> None:
    predictor = create_predictor("average", support_dim=4, prompt_dims=8, num_prompts=5)
    prompts = predictor(torch.randn(1, 2, 1, 2, 4))[0]
    assert torch.equal(prompts[0], prompts[2])
    assert torch.equal(prompts[1], prompts[3])
    assert not torch.equal(prompts[0], prompts[1])


def test_impossible_predictors_are_refused() -> None:
    with pytest.raises(InputError, match="unknown prompt predictor 'magic'"):
        create_predictor("magic", support_dim=8, prompt_dims=8)
    with pytest.raises(InputError, match="16 heads"):
        create_predictor("attention", support_dim=8, prompt_dims=8)
    with pytest.raises(InputError, match="num_prompts"):
        create_predictor("static", support_dim=8, prompt_dims=8, num_prompts=0)
    with pytest.raises(InputError, match="prompt_dims"):
        create_predictor("static", support_dim=8, prompt_dims=())
