"""The whole feature path against the released implementation, and mixed batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from stpn_core import STPN, create_encoder, create_predictor
from stpn_core.errors import InputError
from stpn_core.weights import convert_encoder


def released_model(config: dict[str, Any], tensors: dict[str, Tensor]) -> STPN:
    encoder = create_encoder(
        "swin",
        embed_dim=config["embed_dims"],
        depths=config["depths"],
        num_heads=config["num_heads"],
        mlp_ratio=config.get("mlp_ratio", 4),
        prompt_merge="released",
    )
    predictor = create_predictor(
        {"att": "attention", "avg": "average"}[config["predictor"]["type"]],
        support_dim=encoder.support_dim,
        prompt_dims=encoder.prompt_dim,
        num_prompts=config["num_prompts"],
    )
    model = STPN(encoder, predictor)
    prefix = "weights."
    given = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    model.load_state_dict(convert_encoder(given))
    return model.eval()


def close(actual: Tensor, expected: Tensor, tolerance: float) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= tolerance * max(1.0, expected.abs().max().item())


@pytest.mark.parametrize("file", ["c1_stpn_att", "c2_stpn_avg_grad"])
def test_equals_the_released_feature_path(golden: Any, file: str) -> None:
    tensors, info = golden(f"vod/{file}")
    model = released_model(info["config"], tensors)
    support = tensors["in.support"][None]
    with torch.no_grad():
        tokens = model.embed_support(support)
        close(tokens[0].permute(0, 3, 1, 2), tensors["out.support_map"], 2e-4)
        prompts = model.predict_prompts(tokens)
        assert isinstance(prompts, Tensor)
        close(prompts[0], tensors["out.prompts"], 2e-4)
        features = model(tensors["in.img"], support)
    for i, actual in enumerate(features.maps):
        close(actual, tensors[f"out.map{i}"], 2e-4)


def test_gradients_equal_the_released_ones(golden: Any) -> None:
    tensors, info = golden("vod/c2_stpn_avg_grad")
    model = released_model(info["config"], tensors)
    features = model(tensors["in.img"], tensors["in.support"][None])
    loss = sum((m * tensors[f"in.cot{i}"]).sum() for i, m in enumerate(features.maps))
    assert isinstance(loss, Tensor)
    close(loss, tensors["out.cot_loss"][0], 2e-4)
    loss.backward()
    names = [k.removeprefix("out.grad.") for k in tensors if k.startswith("out.grad.")]
    assert len(names) == 5
    # the converter maps gradients as it maps weights: it only renames and permutes
    weights = {k.removeprefix("weights."): v for k, v in tensors.items() if k.startswith("weights")}
    placed = {k: tensors.get(f"out.grad.{k}", torch.full_like(v, 0)) for k, v in weights.items()}
    own = {k: p.grad for k, p in model.named_parameters()}
    compared = 0
    for key, expected in convert_encoder(placed).items():
        if expected.any():
            actual = own[key]
            assert actual is not None
            worst = (actual - expected).abs().max()
            assert worst <= 1e-3 * expected.abs().max()
            compared += 1
    assert compared == 5


def small(**options: Any) -> STPN:
    torch.manual_seed(0)
    encoder = create_encoder("swin", embed_dim=8, depths=(1, 1), num_heads=(1, 2))
    model = STPN(encoder, create_predictor("mixer", support_dim=16, prompt_dims=8), **options)
    # far from the initial weights, with which prompts hardly matter
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model.eval()


@torch.no_grad()
def test_mixed_batches_keep_rows_apart() -> None:
    model = small()
    images, support = torch.randn(4, 3, 20, 30), torch.randn(4, 2, 3, 20, 30)
    valid = torch.tensor([[0, 0], [1, 0], [0, 0], [1, 1]]).bool()
    prompts = model.predict_prompts(model.embed_support(support, valid), valid)
    features = model.encode(images, prompts, valid.any(1))
    plain, prompted = model.encoder(images), model.encoder(images, prompts)
    for level in range(2):
        for row, wanted in enumerate((plain, prompted, plain, prompted)):
            torch.testing.assert_close(features.maps[level][row], wanted.maps[level][row])
    # control: the two paths differ by more than the tolerance above
    assert (plain.maps[0] - prompted.maps[0]).abs().max() > 1e-2


def test_the_single_frame_twin_has_no_prompts() -> None:
    twin = STPN(small().encoder, None)
    with pytest.raises(InputError, match="single-frame"):
        twin.predict_prompts(torch.randn(1, 1, 2, 2, 16))


def test_gradients_of_a_mixed_batch_are_those_of_its_parts() -> None:
    model = small()
    images, support = torch.randn(3, 3, 20, 30), torch.randn(3, 2, 3, 20, 30)
    valid = torch.tensor([[1, 1], [0, 0], [1, 0]]).bool()
    grads = []
    for batches in ([[0, 1, 2]], [[0], [1], [2]]):
        model.zero_grad()
        for rows in batches:
            features = model(images[rows], support[rows], valid[rows])
            sum(m.square().sum() for m in features.maps).backward()
        grads.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for one, many in zip(*grads, strict=True):
        torch.testing.assert_close(one, many, atol=1e-4, rtol=1e-4)
